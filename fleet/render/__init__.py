"""From a stack to the files of clusters/<stack>: pure functions."""
