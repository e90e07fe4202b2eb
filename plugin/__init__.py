"""What turns the checkout into a plugin that Docker can install: engine, base images, root file system, demo.

Standard library only, so that it runs before any dependency is there. Nothing here is part of the plugin itself.
"""
