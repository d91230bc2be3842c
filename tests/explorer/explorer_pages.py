"""What a page of the explorer holds, for the tests: its facts, parts and modules."""

import base64
import gzip
import json
import re


def facts(text):
  found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', text)
  return json.loads(found[1])


def parts(text):
  found = re.findall(r'<script type="application/gzip" id="part-([\w.]+)">([^<]*)</script>', text)
  return {name: gzip.decompress(base64.b64decode(content)) for name, content in found}


def modules(text):
  imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', text)[1])["imports"]
  return {name: base64.b64decode(address.removeprefix("data:text/javascript;base64,"))
          for name, address in imports.items()}
