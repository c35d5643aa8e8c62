# SPDX-License-Identifier: GPL-3.0-or-later
"""What all views of the REST API share: a request is understood as a whole, or refused."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework import generics, serializers, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import (
    APIException,
    NotFound,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.request import Request, is_form_media_type
from rest_framework.views import APIView

from swf_monitor.access import is_local

PAGE_PARAMETERS = ("limit", "offset")


class Conflict(APIException):
    """The name belongs to another object. A retry does not help."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def valid(serializer_class: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated values.

    Raises:
        ValidationError: becomes a 400 that names each invalid field.
    """
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def unknown_parameters(given: Iterable[str], valid_names: Iterable[str]) -> dict[str, list[str]]:
    """A message for each unknown parameter of a query, which names the nearest valid one. An ignored
    filter would return rows that nobody asked for."""
    names = sorted(valid_names)
    messages = {}
    for name in sorted(set(given) - set(names)):
        nearest = difflib.get_close_matches(name, names, 1)
        meant = f" Did you mean {nearest[0]}?" if nearest else ""
        valid_ones = f" Valid: {', '.join(names)}." if names else " This URL has none."
        messages[name] = [f"Unknown parameter.{meant}{valid_ones}"]
    return messages


def has_nul(names: Iterable[Any]) -> bool:
    """Whether one of the names of a path cannot be that of a record: PostgreSQL has no NUL."""
    return any("\0" in name for name in names if isinstance(name, str))


class View(APIView):
    """A view that refuses unknown parameters, and forms."""

    #: The parameters of its query.
    parameters: ClassVar[tuple[str, ...]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the request before its method is called.

        Raises:
            NotFound: a name in the path has a character that PostgreSQL refuses.
            ValidationError: the query has an unknown parameter.
            UnsupportedMediaType: the body is a form, perhaps an empty one: the page of another
                server can make a browser send it.
        """
        super().initial(request, *args, **kwargs)
        if has_nul(kwargs.values()):
            raise NotFound
        if unknown := unknown_parameters(request.query_params, self.valid_parameters()):
            raise ValidationError(unknown)
        if is_form_media_type(request.content_type or ""):
            raise UnsupportedMediaType(request.content_type)

    def valid_parameters(self) -> tuple[str, ...]:
        return self.parameters


class OpenView(View):
    """Numbers and states, but no content. They need a token or a login where a login is required,
    except on this host."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        return super().get_authenticators() if self._needs_login() else []

    def get_permissions(self) -> Sequence[Any]:
        return super().get_permissions() if self._needs_login() else []

    def _needs_login(self) -> bool:
        request = getattr(self, "request", None)
        return settings.LOGIN_REQUIRED and not (request and is_local(request))


class Filters(DjangoFilterBackend):
    """Filters by the view's FilterSet. An invalid value is refused, not ignored."""

    raise_exception = True


class ListView(View, generics.ListAPIView[Any]):
    """A list with filters, an order and pages."""

    queryset: QuerySet[Any]
    filterset_class: type[FilterSet]
    filter_backends = (Filters,)

    def valid_parameters(self) -> tuple[str, ...]:
        return (*self.filterset_class.base_filters, *PAGE_PARAMETERS)
