"""Identity: which cluster a context reaches, which one a tree is for, and whether they agree."""
