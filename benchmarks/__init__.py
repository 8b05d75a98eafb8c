"""Benchmarks. Each reports ratios to baselines that it measures in the same run."""
