"""The configuration files of what is measured, with gaps that stage.py fills."""

from __future__ import annotations

WHOLE = """
[server]
issuer = "{issuer}"
port = {port}
workers = {workers}
threads = {threads}
proxies = 1
[store]
{stores}
[keys]
folder = "{keys}"
[log]
level = "{log}"
{table}
[clinics.bench]
name = "Bench"
country = "{country}"
{clinic}
[clients.{portal}]
name = "Portal"
clinic = "bench"
{client}
redirect_uris = ["{callback}"]
secret_digests = ["{digest}"]
scopes = ["openid", "profile", "national_number", "offline_access"]
national_number = true
refresh = "keep"
"""
MITID = """
[providers.mitid]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = "{client_secret}"
"""
BANKID = """
[providers.bankid]
environment = "test"
address = "{address}"
certificate_file = "{client_certificate}"
key_file = "{client_key}"
server_root_file = "{server_root}"
signing_root_files = ["{signing_root}"]
"""


ONLY_BANKID = {"clinic": 'providers = ["bankid"]', "client": ""}
# Limits of a day and an hour would end a run within seconds; those of passwords are the defaults.
FALLBACK = """
[providers.fallback]
[codes]
address_quarter = 100000
address_day = 100000
person_quarter = 100000
person_day = 100000
prefix_hour = 1000000
day = 1000000
[email]
host = "127.0.0.1"
port = {mail_port}
security = "none"
sender = "broker@example.test"
[sms]
kind = "webhook"
address = "{address}/sms"
sender = "Bench"
secret = "{secret}"
"""
