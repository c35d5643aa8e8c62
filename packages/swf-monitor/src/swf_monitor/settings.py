# SPDX-License-Identifier: GPL-3.0-or-later
"""Django's settings. All host-specific values come from the environment."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swf_common_lib.settings import ConfigurationError, Environment

from swf_monitor import __version__

env = Environment()


def words(name: str, default: str = "") -> list[str]:
    """The variable as a list of comma-separated items."""
    return [word.strip() for word in env.text(name, default).split(",") if word.strip()]


SECRET_KEY = env.secret("SECRET_KEY")
if not SECRET_KEY:
    raise ConfigurationError("SECRET_KEY (or SECRET_KEY_FILE) is not set")
DEBUG = env.flag("DEBUG")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
# The issued logins with their API tokens and namespaces. The file may change at any time.
LOGINS_FILE = Path(env.text("SWF_API_LOGINS_FILE")) if env.text("SWF_API_LOGINS_FILE") else None
_url = urlsplit(env.text("SWF_MONITOR_URL"))
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
if _url.netloc:
    # a web server in front has the certificate, and passes requests without TLS
    CSRF_TRUSTED_ORIGINS.append(f"{_url.scheme}://{_url.netloc}")

# Whether the pages need a login, except on this host.
LOGIN_REQUIRED = env.flag("SWF_MONITOR_LOGIN_REQUIRED")
# The accounts, in addition to those of `swf-monitor createuser`. The file may change at any time.
USERS_FILE = (
    Path(env.text("SWF_MONITOR_USERS_FILE")) if env.text("SWF_MONITOR_USERS_FILE") else None
)


def addresses(name: str) -> list[IPv4Address | IPv6Address]:
    """The variable as a list of addresses.

    Raises:
        ConfigurationError: an item is no address.
    """
    try:
        return [ip_address(word) for word in words(name)]
    except ValueError as error:
        raise ConfigurationError(
            f"{name} must be addresses, separated by commas: {error}"
        ) from None


# The web servers that name the user in X-Remote-User.
TRUSTED_PROXIES = addresses("SWF_MONITOR_TRUSTED_PROXIES")

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "drf_spectacular",
    "swf_monitor",
]
# Each of them costs every request time, so those of the login are there only if they are needed.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "swf_monitor.headers.strict_headers",
    *(["django.contrib.sessions.middleware.SessionMiddleware"] if LOGIN_REQUIRED else []),
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    *(
        [
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "swf_monitor.login.LoginMiddleware",
        ]
        if LOGIN_REQUIRED
        else []
    ),
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "swf_monitor.urls"
# Below a path of a web server, which passes requests with it, and directly without it.
FORCE_SCRIPT_NAME = _url.path.rstrip("/") or None
# A login is in a signed cookie, so the database has no sessions to delete. It ends after this time
# (s), and with a new password.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_NAME = "swf_monitor_login"
CSRF_COOKIE_NAME = "swf_monitor_csrf"
# Another program may serve other paths of the same host.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{FORCE_SCRIPT_NAME or ''}/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _url.scheme == "https"
CSRF_COOKIE_HTTPONLY = True
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "swf_monitor.users_file.Backend",
]
LOGIN_URL = LOGOUT_REDIRECT_URL = "login"
LOGIN_REDIRECT_URL = "overview"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# A redirect would turn a client's POST into a GET: a missing slash is a plain 404 instead.
APPEND_SLASH = False
X_FRAME_OPTIONS = "DENY"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The programs configure JSON logs themselves.
LOGGING_CONFIG = None

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

# The threads of the server are persistent, and so are their connections. The next request detects a
# broken one.
PERSISTENT_CONNECTION: dict[str, Any] = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}

# The directory of the SQLite file. It is not used if DB_HOST is set.
DATA_DIR = Path(env.text("SWF_MONITOR_DATA_DIR", "monitor")).expanduser().absolute()
SQLITE_FILE = DATA_DIR / "db.sqlite3"

if env.text("DB_HOST"):
    DATABASES = {
        "default": {
            **PERSISTENT_CONNECTION,
            "ENGINE": "django.db.backends.postgresql",
            "HOST": env.text("DB_HOST"),
            "PORT": env.port("DB_PORT", 5432),
            "NAME": env.text("DB_NAME", "swfdb"),
            "USER": env.text("DB_USER", "admin"),
            "PASSWORD": env.secret("DB_PASSWORD"),
            "OPTIONS": {
                "application_name": "swf-monitor",
                # Seconds, then milliseconds: limits for a database host that disappeared.
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
                **({"sslmode": env.text("DB_SSLMODE")} if env.text("DB_SSLMODE") else {}),
            },
        }
    }
else:
    DATABASES = {
        "default": {
            **PERSISTENT_CONNECTION,
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": SQLITE_FILE,
            "OPTIONS": {
                # The server and the listener write at the same time. A transaction takes the write
                # lock when it begins: a transaction that reads first and writes later cannot wait
                # for the lock, but fails with "database is locked" at once. `timeout` is the time
                # (s) to wait for the lock.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # With WAL (a property of the file that setup sets), NORMAL is safe against a crash
                # of a process. After a burst, the journal is truncated to this size (bytes).
                "init_command": "PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=67108864",
            },
        }
    }

# A namespace whose owner was not seen for this time (days) may be claimed by another testbed.
NAMESPACE_EXPIRY_DAYS = env.seconds("SWF_NAMESPACE_KEEP_DAYS", 30.0)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "swf_monitor.api.authentication.TokenAuthentication",
        *(["swf_monitor.api.authentication.VisitorAuthentication"] if LOGIN_REQUIRED else []),
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "swf_monitor.api.rights.OwnNamespace",
    ],
    # The first one is also for clients that accept anything.
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "swf_monitor.api.html.PageRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["swf_monitor.api.parser.Parser"],
    "DEFAULT_PAGINATION_CLASS": "swf_monitor.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "swf_monitor.api.errors.answer",
    # The Accept header alone decides, so that `format` is no parameter of every list.
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "swf-monitor",
    "DESCRIPTION": "Records and reports the state of the ePIC Streaming Workflow Testbed.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    # Relative to the page, so that it works below any path; a view of the monitor serves the files.
    "SWAGGER_UI_DIST": "assets",
    "SWAGGER_UI_FAVICON_HREF": "assets/favicon-32x32.png",
    "ENUM_NAME_OVERRIDES": {
        "AgentStatus": "swf_monitor.models.AgentStatus",
        "RunStatus": "swf_monitor.models.RunStatus",
        "StfStatus": "swf_monitor.models.StfStatus",
    },
}
