"""Backbone, frozen features, token head, position binding and composition."""
