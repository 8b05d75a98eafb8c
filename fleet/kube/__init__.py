"""Kubernetes and its tools: kustomize, YAML, quantities. Nothing here knows fleet."""
