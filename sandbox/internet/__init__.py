"""A stand-in for the hosts that Flux takes charts and repositories from."""
