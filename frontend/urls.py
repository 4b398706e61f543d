"""Addresses of the pages people see."""

from __future__ import annotations

from django.urls import path

from frontend import api, views
from frontend.quality import trunks

urlpatterns = [
    path("", views.live, name="live"),
    path("calls/<slug:call>/", views.call, name="call"),
    path("history/", views.history, name="history"),
    path("trunks/", trunks, name="trunks"),
    path("api/calls", api.calls, name="api-calls"),
    path("api/calls/<slug:call>", api.one_call, name="api-call"),
    path("try/", views.try_it, name="try"),
    path("w/1/widget.js", views.widget_script, name="widget-script"),
]
