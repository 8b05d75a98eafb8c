"""Promotions: the edits of stack files and shared definitions that bring a thing elsewhere."""
