// SPDX-License-Identifier: MIT
// Makes and signs PCS in JavaScript: ids, signals' arithmetic, canonical bytes. Knows no runtime; hashes are handed in as `hash`:
//   hash.sha256Hex(text) -> hex, hash.sha256(text) -> bytes, hash.hmacBase64(key, bytes) -> base64

const SIGNED = ['D_hat', 'budget', 'coh_star', 'epoch', 'merkle_root', 'pcs_id', 'r', 'shard_id']; // sorted by byte
const FLOATS = new Set(['D_hat', 'budget', 'coh_star', 'r']);
const POLICY = {alpha: 0.30, beta: 0.50, gamma: 0.20, base: 0.10, d0: 2.2};

// To 9 decimals, half to even on the exact binary value. toFixed is exact but rounds half up, so ties are settled here.
export function round9(value) {
    const size = Math.abs(value);
    if (size >= 2 ** 53) {
        return value;
    }
    const exact = size.toFixed(100);
    const cut = exact.indexOf('.') + 10;
    const tie = /^50*$/.test(exact.slice(cut));
    const even = (exact.charCodeAt(cut - 1) - 48) % 2 === 0;
    const rounded = Number(tie && even ? exact.slice(0, cut) : size.toFixed(9));
    return value < 0 && rounded !== 0 ? -rounded : rounded; // never -0
}

// The signed bytes, in the ECMAScript print of numbers.
export function canonical(pcs) {
    const members = SIGNED.map((name) => {
        const value = FLOATS.has(name) ? round9(pcs[name]) : pcs[name];
        return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
    });
    return `{${members.join(',')}}`;
}

export function sign(pcs, key, hash) {
    return hash.hmacBase64(key, hash.sha256(canonical(pcs)));
}

// Theil-Sen: the median of all pairwise slopes of log2(scale) -> log2(count).
export function slope(scales, counts) {
    const points = scales.map((scale) => [Math.log2(scale), Math.log2(counts[String(scale)])]);
    const slopes = [];
    for (let i = 0; i < points.length; i++) {
        for (let j = i + 1; j < points.length; j++) {
            slopes.push((points[j][1] - points[i][1]) / (points[j][0] - points[i][0]));
        }
    }
    slopes.sort((a, b) => a - b);
    const middle = slopes.length >> 1;
    return round9(slopes.length % 2 ? slopes[middle] : (slopes[middle - 1] + slopes[middle]) / 2);
}

export function regime(cohStar, dHat) {
    if (cohStar >= 0.70 && dHat <= 1.5) {
        return 'sticky';
    }
    return dHat >= 2.6 ? 'non_sticky' : 'mixed';
}

export function budget(dHat, cohStar, r) {
    const raw = POLICY.base + POLICY.alpha * (1 - r) + POLICY.beta * Math.max(0, dHat - POLICY.d0) + POLICY.gamma * cohStar;
    return round9(Math.min(1, Math.max(0, raw)));
}

// mulberry32: small, seeded, good enough to vary load.
export function randomFrom(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
}

// One signed PCS. With `escalate` its D_hat is off by one, which every verifier notices.
export function make({random, shard, epoch, key, hash, escalate = false}) {
    const scales = [2, 4, 8, 16, 32];
    const steep = 0.2 + 2.7 * random();
    const counts = {};
    for (const scale of scales) {
        counts[String(scale)] = Math.max(1, Math.round(3 * scale ** steep * (0.9 + 0.2 * random())));
    }
    const cohStar = round9(0.05 + 0.94 * random());
    const r = round9(0.05 + 0.94 * random());
    const dHat = round9(slope(scales, counts) + (escalate ? 1 : 0));
    let root = '';
    while (root.length < 64) {
        root += Math.floor(random() * 65536).toString(16).padStart(4, '0');
    }
    const pcs = {
        pcs_id: hash.sha256Hex(`${root}|${epoch}|${shard}`), schema: 'fractal-lba-kakeya', version: '0.1', shard_id: shard, epoch,
        attempt: 1, scales, N_j: counts, coh_star: cohStar, D_hat: dHat, r, regime: regime(cohStar, dHat),
        budget: budget(dHat, cohStar, r), merkle_root: root, ft: {degraded: false},
    };
    if (key) {
        pcs.sig = sign(pcs, key, hash);
    }
    return pcs;
}
