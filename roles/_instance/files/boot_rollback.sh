# Written by bnlnpps.swf_testbed; run by systemd at boot, before supervisord: sh boot_rollback.sh system|user ROOT SUPERVISORD_CONF UNIT_FILE
# A host that went down in the middle of a change-over has a release in its configuration that nobody has seen healthy. The one that
# `current` names has served before, and has its configuration beside the one in use.
set -eu
scope=$1 root=$2 conf=$3
shift 3

release=$(basename "$(readlink "$root/current")")
kept=$(dirname "$conf")/known_good/$release
if grep -qxF "release = $root/releases/$release" "$conf"; then
    exit 0
fi
# supervisord.conf last: it is what the next boot goes by, if this one is cut off, too
set -- "$@" "$conf"
for path; do
    if ! [ -e "$kept/$(basename "$path")" ]; then
        echo "$kept has no $(basename "$path"): $conf stays as it is, although its release was not proven healthy here"
        exit 0
    fi
done

echo "The host went down in a change-over. Back to the release $release, which served before; to go forward again, run site.yml or upgrade.yml."
for path; do
    cp -p "$kept/$(basename "$path")" "$path.boot"
    sync "$path.boot"
    mv -f "$path.boot" "$path"
done
exec systemctl "--$scope" daemon-reload
