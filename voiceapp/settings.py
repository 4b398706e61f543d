"""Django's settings: `voiceapp.configuration` in Django's words.

Imports without a database, a broker or a secret, so that every tool can load it.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from voiceapp.configuration import REPOSITORY, Address, Configuration, ConfigurationError, load
from voiceapp.keys import session_key
from voiceapp.logs import logging_configuration

CONFIGURATION: Final = load()
BASE_DIR: Final = REPOSITORY

DEBUG = CONFIGURATION.debug
SECRET_KEY = session_key(CONFIGURATION)


def _hosts(configuration: Configuration) -> list[str]:
    """Names under which pages are served; never `*`, even when every interface is bound."""
    bound = (configuration.http.host, configuration.public_address)
    own = [f"[{host}]" if ":" in host else host for host in bound if not _is_wildcard(host)]
    return list(dict.fromkeys(["127.0.0.1", "localhost", "[::1]", *configuration.hosts, *own]))


def _is_wildcard(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _origins(address: Address, hosts: list[str]) -> list[str]:
    plain = [f"http://{host}:{address.port}" for host in hosts]
    return plain + [f"https://{host}" for host in hosts]


def _database(configuration: Configuration) -> dict[str, Any]:
    if not configuration.database_url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": configuration.database,
            "OPTIONS": {
                # A writer takes its lock at BEGIN: no transaction fails half-way with "database is locked".
                "transaction_mode": "IMMEDIATE",
                "timeout": 10,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    url = urlsplit(configuration.database_url)
    if url.scheme not in {"postgres", "postgresql"} or not url.hostname or not url.path.strip("/"):
        raise ConfigurationError(
            "VOICEAPP_DATABASE_URL cannot be used: it takes postgresql://user:password@host:port/name."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.strip("/"),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname,
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


ALLOWED_HOSTS = _hosts(CONFIGURATION)
CSRF_TRUSTED_ORIGINS = _origins(CONFIGURATION.http, ALLOWED_HOSTS)

INSTALLED_APPS = [
    "daphne",
    "whitenoise.runserver_nostatic",
    "channels",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "telephony",
    "agents",
    "frontend",
    "voiceapp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "voiceapp.security.SecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "voiceapp.urls"
ASGI_APPLICATION = "voiceapp.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": _database(CONFIGURATION)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Only for what consumers of one web process say to one another; call events go over the EventBus, which loses none.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Who may sit at the desk. Callers have no account.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
# Files come straight from the applications: a clone is ready without collectstatic, and has no STATIC_ROOT.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# Cookies and headers. TLS ends at a proxy or is absent (loopback): SecurityPolicyMiddleware marks cookies `Secure`
# and Django sends HSTS whenever the request came over TLS, which is why W008, W012 and W016 have nothing
# to add. W005: whether subdomains must use TLS is for the owner of the domain to say, not for us.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W012", "security.W016"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_HSTS_PRELOAD = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
# Lax, not Strict: a link to a call from a mail or a chat must find the reader logged in. Writes need the CSRF token.
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

LOGGING = logging_configuration(level=CONFIGURATION.log_level, personal_data=CONFIGURATION.log_pii)

# Ports of the Django applications, bound here because they may not import what stands above them.
DATA_KEYRING = "voiceapp.adapters.encryption.Keyring"
DATA_KEY_FILE = CONFIGURATION.data_key
SNAPSHOT_SEALER = "voiceapp.adapters.encryption.secret_sealer"
SNAPSHOT_OPENER = "voiceapp.adapters.encryption.secret_opener"
SNAPSHOT_FILE = CONFIGURATION.snapshot
TELEPHONY_AGENTS = "agents.selectors.published_versions"
NODE_COMMANDS = "voiceapp.adapters.node_commands.request_every_node"
NODE_HEALTH = "voiceapp.adapters.node_commands.health_of_nodes"
WIDGET_SCRIPT = "/w/1/widget.js"
OUTBOX_HANDLERS = {"call_ended": "agents.tasks.write_summary"}

CELERY_BROKER_URL = CONFIGURATION.redis_url or None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # its lines go through our filter of personal data
