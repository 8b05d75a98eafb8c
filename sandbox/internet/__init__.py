"""A stand-in for the hosts from which Flux fetches charts and public repositories."""
