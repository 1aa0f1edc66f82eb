"""What schemathesis does not know by itself: media types whose bodies are sent as they are."""

import schemathesis


@schemathesis.serializer("application/toml", "application/yaml", "application/x-protobuf")
def as_it_is(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
