"""Addresses of the pages people see."""

from __future__ import annotations

from django.urls import path

from frontend import views

urlpatterns = [
    path("", views.live, name="live"),
    path("calls/<slug:call>/", views.call, name="call"),
    path("history/", views.history, name="history"),
    path("try/", views.try_it, name="try"),
    path("w/1/widget.js", views.widget_script, name="widget-script"),
]
