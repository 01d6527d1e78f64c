from __future__ import annotations

from dataclasses import fields

import pytest

from thirdvote.config import ClusterPolicy, Limits
from thirdvote.config_options import BY_NAME, CLUSTER_OPTIONS, LIMIT_NAMES, LIMIT_RANGES, OPTIONS, limit_environment_name
from thirdvote.config_sources import ConfigFile, Resolved, cluster_key, own_options, quoted, resolve
from thirdvote.domain import ClusterName, Handover, TlsSupport
from thirdvote.errors import UsageError, UserError


def resolved(flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, text: str | None = None) -> Resolved:
    return resolve(flags or {}, environ or {}, None if text is None else ConfigFile("f.toml", text), "/data")


def refused(flags: dict[str, str] | None = None, environ: dict[str, str] | None = None, text: str | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        resolved(flags, environ, text)
    return caught.value


def test_flag_then_environment_then_file_then_default() -> None:
    found = resolved(
        {"tls": "off"}, {"THIRDVOTE_TLS": "on", "THIRDVOTE_LOG_LEVEL": "debug"}, 'tls = "required"\nlog-level = "error"\nmax-clients = 7'
    )
    assert (found.settings.tls, found.origins["tls"]) == (TlsSupport.UNSUPPORTED, "flag")
    assert (found.settings.log_level, found.origins["log-level"]) == ("debug", "environment THIRDVOTE_LOG_LEVEL")
    assert (found.settings.max_clients, found.origins["max-clients"]) == (7, "file f.toml")
    assert (found.settings.client_certificate, found.origins["client-cert"]) == (True, "default")


def test_sockets_are_in_the_data_directory_unless_said() -> None:
    found = resolved({"data": "/srv/tv/"}).settings
    assert (found.control, found.qnetd_socket) == ("/srv/tv/control.sock", "/srv/tv/qnetd.sock")
    assert resolved({"control": "/run/c"}).settings.control == "/run/c"
    assert resolved().settings.data == "/data"


def test_a_data_directory_too_long_for_sockets_is_refused() -> None:
    error = refused({"data": "/" + "x" * 100})
    assert "too long for a socket" in str(error)
    assert "--control" in (error.hint or "")
    assert resolved({"data": "/" + "x" * 100, "control": "/c", "qnetd-socket": "/q"}).settings.control == "/c"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tls", "maybe"),
        ("client-cert", "true"),
        ("late-answers", "late"),
        ("ledger", "memory"),
        ("ledger", "etcd://192.0.2.9:2379"),
        ("history", "1"),
        ("handover", "sometimes"),
        ("log-format", "xml"),
        ("log-level", "loud"),
        ("max-clients", "-1"),
        ("max-clients", "1.5"),
        ("data", ""),
        ("control", "x" * 108),
    ],
)
def test_a_value_that_does_not_fit_names_its_place(name: str, text: str) -> None:
    flag = refused({name: text})
    assert isinstance(flag, UsageError)
    assert str(flag).startswith(f"--{name} is ")
    variable = BY_NAME[name].environment_name
    if text:
        assert str(refused(environ={variable: text})).startswith(f"{variable} is ")
    assert str(refused(text=f'\n{name} = "{text}"')).startswith(f"f.toml, line 2: {name} is ")


def test_values_of_the_file_may_be_of_toml_types() -> None:
    found = resolved(text="client-cert = false\nlisten = 5404\nmax-clients = 3").settings
    assert (found.client_certificate, found.listen_port, found.max_clients) == (False, 5404, 3)


@pytest.mark.parametrize("handover", Handover)
def test_every_handover_can_be_set(handover: Handover) -> None:
    assert resolved({"handover": str(handover).upper()}).settings.handover is handover


def test_nobody_has_to_choose_the_safe_way() -> None:
    assert resolved().settings.handover is Handover.SAFE
    assert resolved().settings.late_answers


def test_an_empty_variable_counts_as_not_set() -> None:
    file = ConfigFile("f.toml", 'tls = "on"\n')
    resolved = resolve({}, {"THIRDVOTE_TLS": "", "THIRDVOTE_ENROLL_ADDRESS": ""}, file, "/data")
    assert (resolved.settings.tls, resolved.settings.enroll_address) == (TlsSupport.SUPPORTED, "")
    assert (resolved.origins["tls"], resolved.origins["enroll-address"]) == ("file f.toml", "default")
    with pytest.raises(UserError, match="is not one of ours"):
        resolve({}, {"THIRDVOTE_TLSS": ""}, None, "/data")


def test_limits_from_file_and_environment() -> None:
    found = resolved(
        environ={"THIRDVOTE_LIMITS_CLUSTERS": "9", "THIRDVOTE_LIMITS_DEAD_PEER_ENABLED": "off"},
        text="[limits]\nclusters = 5\nbefore-init-s = 2.5",
    )
    assert (found.settings.limits.clusters, found.settings.limits.before_init_s) == (9, 2.5)
    assert not found.settings.limits.dead_peer_enabled
    assert found.origins["limits.clusters"] == "environment THIRDVOTE_LIMITS_CLUSTERS"
    assert found.origins["limits.before-init-s"] == "file f.toml"
    assert found.settings.limits.connections == Limits().connections


@pytest.mark.parametrize("text", ["0", "-1", "x", " ", "1e3", "nan", "99999999999"])
def test_a_limit_that_does_not_fit(text: str) -> None:
    assert "a whole number from 1 to" in str(refused(environ={"THIRDVOTE_LIMITS_CLUSTERS": text}))


@pytest.mark.parametrize("text", ["0", "inf", "nan", "-1", "x"])
def test_a_fractional_limit_that_does_not_fit(text: str) -> None:
    assert "a number from 0.001 to" in str(refused(environ={"THIRDVOTE_LIMITS_CONTROL_IDLE_S": text}))


def test_every_limit_can_be_set_by_variable_to_its_default() -> None:
    given = {}
    for name, field_name in LIMIT_NAMES.items():
        value = getattr(Limits(), field_name)
        given[limit_environment_name(name)] = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    assert resolved(environ=given).settings.limits == Limits()
    assert set(LIMIT_RANGES) <= {field.name for field in fields(Limits)}


def test_heartbeat_range_is_a_range() -> None:
    error = refused(text="[limits]\nheartbeat-ms-min = 5000\nheartbeat-ms-max = 4000")
    assert "(5000) is above limits.heartbeat-ms-max (4000)" in str(error)


def test_clusters_have_settings_of_their_own() -> None:
    found = resolved(text='[clusters."my cluster"]\nhandover = "stock"\n[clusters."é"]\n')
    assert set(found.settings.clusters) == {ClusterName(b"my cluster"), ClusterName("é".encode())}
    assert found.settings.policy_of(ClusterName(b"my cluster")).handover is Handover.STOCK
    assert found.settings.policy_of(ClusterName(b"another")).handover is Handover.SAFE
    assert found.origins['clusters."my cluster".handover'] == "file f.toml"
    assert not [key for key in found.origins if key.startswith('clusters."é"')]


def test_everything_that_a_cluster_can_have_of_its_own() -> None:
    text = '[clusters.a]\nhandover = "fast"\nlate-answers = "off"\ntimeout = 1_000\nsync-timeout = "20000"\ntoken = 4000\n'
    text += "wait-for-all = true\n"
    found = resolved({"handover": "stock"}, text=text)
    assert found.settings.policy_of(ClusterName(b"a")) == ClusterPolicy(Handover.FAST, False, 1_000, 20_000, 4_000, wait_for_all=True)
    assert found.settings.policy_of(ClusterName(b"b")) == ClusterPolicy(Handover.STOCK, True, None, 30_000, None, wait_for_all=False)
    own = found.settings.clusters[ClusterName(b"a")]
    assert {option.name: option.value(own) for option in own_options(own)} == {
        "handover": "fast",
        "late-answers": "off",
        "timeout": "1000",
        "sync-timeout": "20000",
        "token": "4000",
        "wait-for-all": "on",
    }
    assert {found.origins[cluster_key(ClusterName(b"a"), option)] for option in CLUSTER_OPTIONS} == {"file f.toml"}


def test_a_cluster_goes_by_what_all_have_where_it_has_nothing_of_its_own() -> None:
    found = resolved({"handover": "fast", "late-answers": "off"}, text="[clusters.a]\nwait-for-all = false").settings
    assert found.policy_of(ClusterName(b"a")) == ClusterPolicy(Handover.FAST, late_answers=False)


@pytest.mark.parametrize(("name", "most"), [("timeout", 3_600_000), ("sync-timeout", 3_600_000), ("token", 600_000)])
@pytest.mark.parametrize("value", ["10", "99", "3600001", "-1", "1e3", "1000.0", '"10 s"', '""', '"٣٠٠٠"'])
def test_times_of_a_cluster_are_in_milliseconds(name: str, most: int, value: str) -> None:
    message = str(refused(text=f"[clusters.a]\n{name} = {value}"))
    assert message.startswith(f'f.toml, line 2: clusters."a".{name} is ')
    assert message.endswith(f"but must be milliseconds, from 100 to {most}, as in corosync.conf")


@pytest.mark.parametrize("value", [100, 1_000, 600_000])
def test_the_token_timeout_of_a_cluster(value: int) -> None:
    assert resolved(text=f"[clusters.a]\ntoken = {value}").settings.policy_of(ClusterName(b"a")).token_ms == value


def test_a_token_timeout_above_ten_minutes_is_a_slip_of_the_pen() -> None:
    assert "from 100 to 600000" in str(refused(text="[clusters.a]\ntoken = 600001"))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("tsl = 'on'", "f.toml, line 1: tsl is not a setting", "did you mean tls?"),
        ("[limits]\n\nclusterz = 1", "f.toml, line 3: limits.clusterz is not a setting", "did you mean clusters?"),
        ("[limit]\nclusters = 1", "f.toml, line 1: limit is not a setting", "did you mean limits?"),
        ('[clusters."a b"]\nhand = 1', 'f.toml, line 2: clusters."a b".hand is not a setting', "did you mean handover?"),
        ("clusters = 1", "f.toml: clusters must be a table", "write a line [clusters], and below it what belongs to it"),
        ("clusters.x = 1", 'f.toml: clusters."x" must be a table', 'write a line [clusters."x"], and below it what belongs to it'),
        ("tls = {}", "f.toml, line 1: tls must be one value: a text, a number, or true or false", 'for example: tls = "required"'),
        ("qqqqqqqqqqqqqqq = 1", "f.toml, line 1: qqqqqqqqqqqqqqq is not a setting", None),
    ],
)
def test_what_is_wrong_in_the_file(text: str, message: str, hint: str | None) -> None:
    error = refused(text=text)
    assert str(error) == message
    assert error.hint == hint if hint else (error.hint or "").startswith("known: ")


def test_a_file_that_is_not_toml() -> None:
    assert "f.toml is not TOML: " in str(refused(text="tls on"))


def test_unknown_variables_are_refused_with_the_nearest() -> None:
    error = refused(environ={"THIRDVOTE_LISTN": "1"})
    assert "'THIRDVOTE_LISTN'" in str(error)
    assert error.hint == "did you mean THIRDVOTE_LISTEN?"


def test_other_variables_are_no_business_of_ours() -> None:
    assert (
        resolved(environ={"PATH": "/bin", "THIRDVOTE_DEBUG": "1", "THIRDVOTE_CONFIG": "x", "_THIRDVOTE_COMPLETE": "x"}).settings
        == resolved().settings
    )


def test_what_is_shown_reads_back_as_the_same() -> None:
    settings = resolved({"tls": "on", "listen": "[::1]:7", "client-cert": "off", "log-format": "json"}).settings
    again = resolved({option.name: text for option in OPTIONS if (text := option.value(settings))}).settings
    assert again == settings


def test_what_a_person_typed_is_quoted_on_one_line() -> None:
    assert quoted("a\nb\x1b[1m") == "'a\\nb\\x1b[1m'"


def test_a_password_is_not_shown_also_when_it_is_refused() -> None:
    settings = resolved(environ={"THIRDVOTE_ENROLL_PASSWORD": "a password of ours"}).settings
    assert settings.enroll_password == "a password of ours"
    assert BY_NAME["enroll-password"].value(settings) == "set, not shown"
    with pytest.raises(UserError, match="THIRDVOTE_ENROLL_PASSWORD is not one, but must be a password of 12 to 128 characters") as caught:
        resolved(environ={"THIRDVOTE_ENROLL_PASSWORD": "secret"})
    assert "secret" not in f"{caught.value} {caught.value.hint}"
