"""Processes, certificates and files of this machine."""
