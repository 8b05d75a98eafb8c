"""Serve the plugin to the engine that started it."""

from __future__ import annotations

from sandbox.pulumi.kubernetes_plugin.serving import main

main()
