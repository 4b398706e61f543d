"""Registers the application with Django, and hears when telephony's routes change."""

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Agents"

    def ready(self) -> None:
        from agents.services import publish_snapshot
        from telephony.services import routing_changed

        def publish(sender: object, **kwargs: object) -> object:
            return publish_snapshot()

        routing_changed.connect(publish, weak=False, dispatch_uid="agents.publish_snapshot")
