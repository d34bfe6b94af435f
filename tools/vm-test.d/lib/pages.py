#!/usr/bin/env python3
"""The master's pages from a shell: pages.py FILE BASE login CODE | get PATH | post PATH NAME=VALUE…

FILE keeps cookies between calls. Prints the page; the exit status is 0 where the server's is below 400, and 22 else. A form's CSRF token is
looked up on the page PATH.
"""
import http.client, json, os, re, sys, urllib.parse

file, base, verb, path, *words = sys.argv[1:]
host = base.removeprefix("http://")
cookies = json.load(open(file)) if os.path.exists(file) else {}


def ask(path, fields=None):
    connection = http.client.HTTPConnection(host, timeout=120)
    headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
    if fields is not None:
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": base}
    connection.request("GET" if fields is None else "POST", path, None if fields is None else urllib.parse.urlencode(fields), headers)
    answer = connection.getresponse()
    for line in answer.headers.get_all("set-cookie") or []:
        name, _, value = line.split(";")[0].partition("=")
        cookies[name] = value
    json.dump(cookies, open(file, "w"))
    return answer.status, answer.read().decode()


if verb == "login":
    status, page = ask("/login", {"code": path, "password": "correct horse", "again": "correct horse"})
elif verb == "get":
    status, page = ask(path)
else:
    token = re.search(r'name="csrf" value="([^"]*)"', ask(path)[1])
    fields = dict(word.split("=", 1) for word in words)
    status, page = ask(path, fields | {"csrf": token.group(1) if token else ""})
print(page)
sys.exit(0 if status < 400 else 22)
