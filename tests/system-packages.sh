#!/bin/sh
# Install the programs that the tests run against, where we are root on Debian; elsewhere say what is missing.
# They are started by the tests themselves: none is left running as a service.
set -eu

wanted=
want() { wanted="$wanted $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

PATH="$PATH:/usr/sbin"
has redis-server || want redis-server
has postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || want postgresql
has chromium || has chromium-browser || has google-chrome || want chromium
[ -d /usr/share/fonts/truetype/dejavu ] || want fonts-dejavu-core
ls /usr/lib/*/libzbar.so.0 >/dev/null 2>&1 || want libzbar0
has xmlsec1 || want xmlsec1
[ -d /usr/share/xml/opensaml ] || want opensaml-schemas xmltooling-schemas
has apache2 || want apache2
[ -e /usr/lib/apache2/modules/mod_auth_openidc.so ] || want libapache2-mod-auth-openidc
has node || want nodejs
has npm || want npm
has php || want php-cli
[ -d /usr/share/simplesamlphp ] || want simplesamlphp php-xml

[ -n "$wanted" ] || exit 0

if [ "$(id -u)" != 0 ] || ! has apt-get; then
    echo "not on this machine, so their tests cannot run:$wanted" >&2
    exit 0
fi

policy=/usr/sbin/policy-rc.d
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -e "$policy" ]; then
    # Debian starts a service when it is installed, unless this says 101.
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi

echo "installing:$wanted"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # several words are meant
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $wanted; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
