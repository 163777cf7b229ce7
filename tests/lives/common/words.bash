# shellcheck shell=bash
# The words that lives are written in. LIFE is the name of the life, IMAGE that of the image. In a second ROUND the containers
# that stay are there.

# A container that stays: its name, then options, image and command.
start() {
    local name=$1
    shift
    if [ "$ROUND" -gt 1 ]; then return; fi
    docker run --detach --network "${NETWORK:-none}" --label "life=$LIFE" --name "$LIFE-$name" "$@" >/dev/null
}

# One that ends.
job() {
    docker run --network none --label "life=$LIFE" "$@"
}

within() {
    local name=$1
    shift
    docker exec "$LIFE-$name" "$@"
}

# As often as a health check may fail while a service starts.
await() {
    local tries
    for tries in {1..120}; do
        if within "$@" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    echo "after $tries tries: $*" >&2
    return 1
}

repeat() {
    local times=$1
    shift
    for _ in $(seq "$times"); do "$@" >/dev/null; done
}

# What is typed comes a line at a time from the input.
terminal() {
    local name=$1
    shift
    {
        sleep 1
        while IFS= read -r line; do
            printf '%s\n' "$line"
            sleep 0.3
        done
    } | script -qec "docker exec -it $LIFE-$name $*" /dev/null || true
}

# The input is what comes after the image's name in a file of Docker's.
build() {
    { printf 'FROM %s\nLABEL life=%s\n' "$IMAGE" "$LIFE"; cat; } |
        DOCKER_BUILDKIT=0 docker build --network none --no-cache -t "built/$LIFE:1" - 2>&1
}
