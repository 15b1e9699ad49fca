#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes what compose.yaml mounts as secrets: a random one each, unless the environment or .env gives its value
# (PCS_HMAC_KEY, METRICS_PASS): containers get secrets as files, not as variables that `docker inspect` shows. Run it again at any time: what exists stays. Needs root, so that the containers' group may read the files and
# nobody else; and the image (./run image), whose flk makes the ZeroMQ keys.
set -eu
cd "$(dirname "$0")"
image=${IMAGE:-flk:0.1.0}
group=10001
[ "$(id -u)" -eq 0 ] || { echo "setup.sh: run it as root: it gives the secrets to the containers' group" >&2; exit 1; }
umask 077
mkdir -p secrets
chgrp "$group" secrets
chmod 0750 secrets

value_of() { # name: from the environment, or else from .env; nothing when it is in neither
    printenv "$1" || sed -n "s/^$1=//p" .env | tail -n 1
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

put() { # name, value
    if [ ! -e "secrets/$1" ]; then
        printf '%s' "$2" >"secrets/$1"
        echo "made secrets/$1"
    fi
}

key=$(value_of PCS_HMAC_KEY)
pass=$(value_of METRICS_PASS)
put pcs_hmac_key "${key:-$(random)}"
put metrics_pass "${pass:-$(random)}"
put redis_password "$(random)"
put postgres_password "$(random)"
put postgres_conn "postgresql://flk:$(cat secrets/postgres_password)@postgres/flk"
put grafana_password "$(random)"
for role in gateway broker worker; do
    if [ ! -e "secrets/$role.key" ]; then
        docker run --rm --network none --user 0:0 -v "$PWD/secrets:/keys" "$image" keygen --dir /keys/curve --role "$role" "$role" >/dev/null
        mv "secrets/curve/$role.key" "secrets/$role.key"
        echo "made secrets/$role.key"
    fi
done
mkdir -p secrets/curve/agents secrets/curve/admins # whom the ZeroMQ door lets in: a NAME.pub each
chgrp -R "$group" secrets
chmod -R u=rwX,g=rX,o= secrets
