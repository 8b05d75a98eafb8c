"""A GitHub and three Kubernetes clusters on this machine. The product never imports this."""
