"""Identity: which cluster a stack is, read from reality and never from Pulumi's state."""
