"""GitHub's REST API: the routes and one module of endpoints for each kind of resource."""
