// SPDX-License-Identifier: MIT
// Constant load, then bursts; fails when an objective is missed. Run it with k6:
//
//   k6 run -e ENDPOINT=http://127.0.0.1:8080/v1/pcs/submit -e PCS_HMAC_KEY=... tests/load/k6.js
//
// RATE submissions a second for SECONDS, then twice bursts of BURST a second; DUPLICATES and ESCALATED are shares of them.
import {check} from 'k6';
import crypto from 'k6/crypto';
import exec from 'k6/execution';
import http from 'k6/http';
import {Rate} from 'k6/metrics';

import {make, randomFrom} from './pcs.mjs';

const endpoint = __ENV.ENDPOINT || 'http://127.0.0.1:8080/v1/pcs/submit';
const key = __ENV.PCS_HMAC_KEY || '';
const rate = Number(__ENV.RATE || 200);
const seconds = Number(__ENV.SECONDS || 30);
const burst = Number(__ENV.BURST || rate * 5);
const duplicates = Number(__ENV.DUPLICATES || 0.4);
const escalated = Number(__ENV.ESCALATED || 0.01);
const seed = Number(__ENV.SEED || Date.now() % 2147483647);

const hash = {
    sha256Hex: (text) => crypto.sha256(text, 'hex'),
    sha256: (text) => crypto.sha256(text, 'binary'),
    hmacBase64: (secret, bytes) => crypto.hmac('sha256', secret, bytes, 'base64'),
};

const serverErrors = new Rate('server_errors');
const escalations = new Rate('escalations');
const same = new Rate('duplicates_same');

const quiet = Math.max(1, Math.round(seconds / 6));
export const options = {
    scenarios: {
        constant: {executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`, preAllocatedVUs: 50, maxVUs: 500},
        bursts: {
            executor: 'ramping-arrival-rate', startTime: `${seconds}s`, startRate: rate, timeUnit: '1s', preAllocatedVUs: 100, maxVUs: 1000,
            stages: [
                {target: burst, duration: '1s'}, {target: burst, duration: `${quiet}s`}, {target: rate, duration: '1s'},
                {target: rate, duration: `${quiet}s`}, {target: burst, duration: '1s'}, {target: burst, duration: `${quiet}s`},
            ],
        },
    },
    thresholds: { // the objectives
        'http_req_duration{scenario:constant}': ['p(95)<200'],
        server_errors: ['rate<0.01'],
        escalations: ['rate<=0.02'],
        duplicates_same: ['rate==1'],
        checks: ['rate>0.99'],
        dropped_iterations: ['count<1'],
    },
};

// One state for each virtual user: its own random numbers, shard and epochs, and what it has sent.
let random = null;
let epoch = 0;
const sent = [];

export default function () {
    if (random === null) {
        random = randomFrom(seed + exec.vu.idInTest * 7919);
    }
    const again = sent.length > 0 && random() < duplicates;
    const entry = again ? sent[Math.floor(random() * sent.length)] : fresh();
    const answer = http.post(endpoint, entry.body, {headers: {'Content-Type': 'application/json'}});
    serverErrors.add(answer.status >= 500 || answer.status === 0);
    if (!check(answer, {'answered 200 or 202': (it) => it.status === 200 || it.status === 202})) {
        return;
    }
    const outcome = answer.json();
    if (entry.status) {
        same.add(answer.status === entry.status && outcome.duplicate === true);
    } else {
        escalations.add(answer.status === 202);
        check(outcome, {'the expected verdict': () => (answer.status === 202) === entry.escalate});
        entry.status = answer.status;
        if (sent.length < 200) {
            sent.push(entry);
        }
    }
}

function fresh() {
    epoch += 1;
    const escalate = random() < escalated;
    const shard = `k6-${seed}-${exec.vu.idInTest}`;
    return {escalate, status: 0, body: JSON.stringify(make({random, shard, epoch, key, hash, escalate}))};
}
