"""Helm charts, fetched and rendered as helm-controller would do it."""
