# Written by bnlnpps.swf_testbed; run by systemd at boot, before supervisord: sh boot_rollback.sh system|user ROOT SUPERVISORD_CONF UNIT_FILE
# A host that went down in the middle of a change-over has a release in its configuration that is not known good. The release that
# `current` names is, and a copy of its configuration is in known_good.
set -eu
scope=$1 root=$2 conf=$3
shift 3

release=$(basename "$(readlink "$root/current")")
copy=$(dirname "$conf")/known_good/$release
if grep -qxF "release = $root/releases/$release" "$conf"; then
    exit 0
fi
# supervisord.conf last: the next boot reads it, if this one is interrupted, too
set -- "$@" "$conf"
for path; do
    if ! [ -e "$copy/$(basename "$path")" ]; then
        echo "$copy has no $(basename "$path"): $conf is not changed, although its release is not known good here"
        exit 0
    fi
done

# the files of the stack of that release; the unit is no file of that directory
for path in "$copy"/*; do
    case $path in
        *.service | "$copy/$(basename "$conf")") ;;
        *) set -- "$(dirname "$conf")/$(basename "$path")" "$@" ;;
    esac
done

echo "The host went down in a change-over. Rolled back to the release $release. Fix: run site.yml or upgrade.yml again."
# rollback_steps.py, which the unit runs, then runs the steps of that release
: >"$(dirname "$conf")/rollback_steps.due"
for path; do
    cp -p "$copy/$(basename "$path")" "$path.boot"
    sync "$path.boot"
    mv -f "$path.boot" "$path"
done
exec systemctl "--$scope" daemon-reload
