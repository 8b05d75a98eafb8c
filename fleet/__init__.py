"""The functional core: decisions in, trees and answers out. Nothing here imports pulumi."""
