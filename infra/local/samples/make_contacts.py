"""Makes contacts.csv, the demo's list: 6,000 rows of a customer file as people really keep them. Same output every time.

Usage: python3 make_contacts.py > contacts.csv
"""

import csv
import random
import sys

rng = random.Random(20261120)
FIRST = "Ada Ben Carla Dmitri Eva Farid Greta Hugo Ines Jonas Kofi Lena Mei Noah Olga Paolo Quinn Rosa Sven Tara Uma Viktor Wanda Xavier Yara Zoë".split()
LAST = "Abbott Brandt Costa Díaz Eriksen Fischer Garcia Huang Ivanov Jansen Kaya Lopez Müller Novak Okafor Petrov Quist Rossi Silva Tanaka Ueda Vogel Weber Xu Yilmaz Zeman".split()
FREE = ["gmail.com"] * 8 + ["yahoo.com", "outlook.com", "hotmail.com", "icloud.com", "gmx.de", "web.de", "proton.me", "aol.com", "yahoo.fr", "qq.com"]
TYPO = ["gmial.com", "gmail.con", "hotmial.com", "yaho.com", "outlok.com", "gmai.com"]
THROWAWAY = ["mailinator.com", "yopmail.com", "guerrillamail.com", "trashmail.com", "inbox.mailinator.com"]
ROLE = ["info", "support", "sales", "admin", "billing", "noreply"]
BROKEN = ["no-at-sign", "two@@gmail.com", ".dot@gmail.com", "dot.@gmail.com", "space in@gmail.com", "a@b", "x@[192.0.2.1]", "\"quoted\"@gmail.com", "tail@-gmail.com", "@gmail.com", "nobody@", "me@example..org", "ann@123.456"]
NOTES = ["", "", "", "met at the fair", "asked for a quote, \"urgent\"", "=HYPERLINK(\"http://evil.example\")", "+49 30 1234567", "-5", "@home", "line one\nline two"]


def plain(text):
    table = str.maketrans("áàäãçéèëíïñóöøúüí", "aaaaceeeiinooouui")
    return text.lower().translate(table)


def address(first, last, n):
    name = rng.choice([f"{plain(first)}.{plain(last)}", f"{plain(first)}{n % 97}", f"{plain(first)[0]}{plain(last)}"])
    pick = rng.random()
    company = rng.choice(["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "tyrell"]) + str(n % 40)
    if pick < 0.38:
        return f"{name}@{rng.choice(FREE)}"
    if pick < 0.56:
        return f"{name}@{company}.{rng.choice(['corp', 'workspace', 'microsoft365', 'mimecast', 'proofpoint'])}.example"
    if pick < 0.62:
        return f"{name}@{rng.choice(TYPO)}"
    if pick < 0.66:
        return f"{name}@{rng.choice(THROWAWAY)}"
    if pick < 0.71:
        return f"{rng.choice(ROLE)}@{company}.corp.example"
    if pick < 0.75:
        return f"{name}@{company}.shop.example"
    if pick < 0.79:
        return f"{name}@{company}.parked.example"
    if pick < 0.82:
        return f"{name}@{company}.empty.example"
    if pick < 0.88:
        return f"{name}@{company}-gone.example"
    if pick < 0.91:
        return f"{name}@{company}.down.example"
    if pick < 0.93:
        return f"{name}@{rng.choice(['nullmx.test', 'slow.test', 'silent.test', 'servfail.test', 'mx-localhost.test', 'only-a.test'])}"
    if pick < 0.96:
        return rng.choice(BROKEN)
    return f"{name.upper()}@{rng.choice(FREE).upper()}" if pick < 0.98 else f"  {name}@{rng.choice(FREE)} "


out = csv.writer(sys.stdout, lineterminator="\r\n")
out.writerow(["Customer No", "First name", "Last name", "E-Mail", "Company", "Note"])
seen = []
for n in range(6000):
    first, last = rng.choice(FIRST), rng.choice(LAST)
    mail = rng.choice(seen) if seen and rng.random() < 0.06 else address(first, last, n)
    seen.append(mail)
    out.writerow([f"C{n + 10001}", first, last, mail, rng.choice(["Acme GmbH", "Globex, Inc.", "", "Initech"]), rng.choice(NOTES)])
