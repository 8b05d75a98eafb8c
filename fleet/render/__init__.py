"""Rendering: a stack's config becomes the files of clusters/<stack>."""
