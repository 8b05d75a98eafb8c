"""Reads stack files and validates them once: models, rules, problems, JSON Schema."""
