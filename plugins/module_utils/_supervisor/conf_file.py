# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads supervisord.conf and the files that it includes, by supervisord's own rules, without
supervisord: sections, includes, comments and %(...)s expansions.

It serves what is needed before a supervisord runs, or by the host's Python alone: its address, the
section swf-testbed, the environment of a program. Groups of programs: _supervisor/conf_programs.py.
"""

from __future__ import annotations

import configparser
import glob
import os
import platform
import shlex
import typing as t


class ConfigError(ValueError):
    """supervisord would refuse this configuration; the text has the place and the reason."""


class ConfigMissing(ConfigError):
    """The main file does not exist."""


class ConfigFile:
    """The sections of a supervisord.conf with its includes.

    :param path: the main file.
    :param environ: supervisord's environment, for %(ENV_x)s.
    :raises ConfigMissing: there is no file at path.
    :raises ConfigError: a file is unreadable or not in the INI format.
    """

    def __init__(self, path: str, environ: t.Mapping[str, str]) -> None:
        self.path = path
        self.here = os.path.abspath(os.path.dirname(path))
        self.files = [path]  # every file that was read, the main one first
        self.patterns: list[str] = []  # of [include], absolute
        self.environment = {"ENV_" + key: value for key, value in environ.items()}
        self._parser = configparser.RawConfigParser(
            inline_comment_prefixes=(";", "#"), strict=False
        )
        self._read(path, missing_is_error=True)
        if self._parser.has_section("include"):
            self._include()

    def _read(self, path: str, missing_is_error: bool) -> None:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as handle:
                self._parser.read_file(handle, path)
        except FileNotFoundError:
            if missing_is_error:
                raise ConfigMissing("There is no configuration file %s." % path) from None
        except OSError as error:
            if missing_is_error:
                raise ConfigError(
                    "Cannot read the configuration file %s: %s." % (path, error.strerror)
                ) from None
        except configparser.Error as error:
            raise ConfigError(str(error)) from None

    def _include(self) -> None:
        self._expand_here(self.here)
        if not self._parser.has_option("include", "files"):
            raise ConfigError(".ini file has [include] section, but no files setting")
        expansions = dict(self.environment, here=self.here, host_node_name=platform.node())
        patterns = self.expand(self._parser.get("include", "files"), expansions, "include.files")
        for pattern in patterns.split():
            pattern = os.path.join(self.here, pattern)
            self.patterns.append(pattern)
            for name in sorted(glob.glob(pattern)):
                self.files.append(name)
                self._read(name, missing_is_error=False)
                self._expand_here(os.path.abspath(os.path.dirname(name)))

    def _expand_here(self, here: str) -> None:
        for section in self._parser.sections():
            for key, value in self._parser.items(section):
                if "%(here)s" in (value or ""):
                    self._parser.set(section, key, value.replace("%(here)s", here))

    def sections(self, prefix: str = "") -> list[str]:
        return [name for name in self._parser.sections() if name.startswith(prefix)]

    def has(self, section: str) -> bool:
        return self._parser.has_section(section)

    def raw(self, section: str, option: str, default: t.Any = None) -> t.Any:
        """The value in the file, without expansion, or default."""
        if self._parser.has_option(section, option):
            return self._parser.get(section, option)
        return default

    def get(
        self,
        section: str,
        option: str,
        default: t.Any = None,
        expansions: t.Mapping[str, t.Any] | None = None,
    ) -> t.Any:
        """The value with its %(...)s expanded, or default."""
        value = self.raw(section, option, default)
        if not isinstance(value, str):
            return value
        names = dict(self.environment, here=self.here)
        names.update(expansions or {})
        return self.expand(value, names, "%s.%s" % (section, option))

    def expand(self, value: str, names: t.Mapping[str, t.Any], what: str) -> str:
        try:
            return value % names
        except KeyError as error:
            raise ConfigError(
                "Format string %r for %r contains the name %s, which cannot be expanded"
                % (value, what, error)
            ) from None
        except (ValueError, TypeError) as error:
            raise ConfigError(
                "Format string %r for %r is badly formatted: %s" % (value, what, error)
            ) from None


def key_value_pairs(text: str) -> dict[str, str]:
    """Parse the value of environment=: KEY=value,KEY2="quoted, value".

    :raises ConfigError: it is not such a list.
    """
    lexer = shlex.shlex(text)
    lexer.wordchars += "/.+-():"
    try:
        tokens = list(lexer)
    except ValueError as error:
        raise ConfigError("%s in value %r" % (error, text)) from None
    pairs = {}
    for index in range(0, len(tokens), 4):
        triple = tokens[index : index + 3]
        if len(triple) != 3 or triple[1] != "=":
            raise ConfigError("Unexpected end of key/value pairs in value %r" % text)
        pairs[triple[0]] = triple[2].strip("'\"")
    return pairs
