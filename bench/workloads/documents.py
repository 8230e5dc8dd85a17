# Many small objects: encodes, decodes and searches a document. Run with PYTHONMALLOC=malloc.
import collections
import json
import re
import sys

records = [
    {"id": i, "name": "n%d" % i, "tags": [str(i * j) for j in range(5)], "v": i * 1.5}
    for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20000)
]
text = json.dumps(records)
again = json.loads(text)
tags = collections.Counter(tag for record in again for tag in record["tags"])
names = " ".join(record["name"] for record in again)
print(len(text), len(tags), len(re.findall(r"n\d+5", names)))
