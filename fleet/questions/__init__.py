"""The answers to questions about what is supposed to run where."""
