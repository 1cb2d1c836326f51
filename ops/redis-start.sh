#!/bin/sh
# Starts Redis with our settings and users; what follows on the command line goes over ops/redis.conf. Passwords come from
# REDIS_ENGINE_PASSWORD, REDIS_RECONCILER_PASSWORD and REDIS_OPERATOR_PASSWORD; only their hashes are written down.
set -eu
folder=$(dirname "$0")
users=${REDIS_USERS_FILE:-/tmp/redis-users.acl}

hash_of() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

umask 077
# Comments out, a user's lines joined, names in braces replaced.
awk '/^#/ || /^$/ { next } /^ / { sub(/^ +/, " "); printf "%s", $0; next } { if (n++) print ""; printf "%s", $0 } END { print "" }' \
  "$folder/redis-users.acl" |
  sed -e 's/{default}/reset off ~* \&* +@all/' \
    -e "s/{engine}/#$(hash_of "${REDIS_ENGINE_PASSWORD:?}")/" \
    -e "s/{reconciler}/#$(hash_of "${REDIS_RECONCILER_PASSWORD:?}")/" \
    -e "s/{operator}/#$(hash_of "${REDIS_OPERATOR_PASSWORD:?}")/" >"$users"
exec redis-server "$folder/redis.conf" --aclfile "$users" "$@"
