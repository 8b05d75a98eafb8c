"""This machine: processes, certificates, files."""
