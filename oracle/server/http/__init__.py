"""The HTTP side of the service: connections, guards, bodies, descriptions."""
