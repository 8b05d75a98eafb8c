"""Processes, certificates and files on this machine."""
