"""Stack files, read and validated once: models, rules, messages, JSON Schema."""
