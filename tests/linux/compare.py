#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""compare.py GOLDEN OURS DIFFERENCES - two transcripts of the same commands (transcript.sh)

Equal are: the exit status; standard error, if each of their sentences is part of one of ours; JSON, if ours has every key and value of theirs, in one line
or several as theirs; text, if each of their
lines is the beginning of one of ours. So there may be more of ours. What differs and shall, is in DIFFERENCES, a
paragraph for each kind:

	# the reason
	$ the commands, a regular expression (any, if there is none)
	| their standard output => ours, regular expressions (theirs may be any, if there is but one)
	! their standard error => ours
	= their exit status => ours
	~ keys of the standard output whose values are others

A difference that is none is an error as well, so that the list says what is.
"""
import json
import re
import sys

WHAT = {'|': 'output', '!': 'error', '=': 'status'}


def transcript(path):
    """The commands of a file: (command, {mark: text})"""
    calls = []
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file.read().split('\n'):
            mark, text = line[:1], line[2:]
            if mark == '$':
                calls.append((text, {'|': [], '!': [], '=': []}))
            elif mark in ('|', '!', '='):
                calls[-1][1][mark].append(text)
    return [(c, {m: '\n'.join(t) for m, t in said.items()}) for c, said in calls]


class Difference:
    """A kind of difference, and whether it was met"""
    def __init__(self, lines):
        self.reason = ' '.join(x[2:] for x in lines if x[:1] == '#')
        self.commands = [x[2:] for x in lines if x[:1] == '$'] or ['.*']
        self.keys = [k for x in lines if x[:1] == '~' for k in x[2:].split(', ')]
        self.parts = [(x[0], *([''] + x[2:].split(' => '))[-2:]) for x in lines if x[:1] in WHAT]
        self.used = False

    def of(self, command):
        """Whether it is one of this command"""
        return any(re.fullmatch(c, command) for c in self.commands)

    def has(self, mark, theirs, ours):
        """Whether it is this difference"""
        return any(mark == m and (not t or re.fullmatch(t, theirs, re.DOTALL)) and re.fullmatch(o, ours, re.DOTALL)
                   for m, t, o in self.parts)


def without(value, keys):
    """A JSON value without the values of some keys"""
    if isinstance(value, dict):
        return {k: None if k in keys else without(v, keys) for k, v in value.items()}
    return value


def clean(value):
    """A JSON value whose keys do not end in the spaces that some of iproute2's have"""
    if isinstance(value, dict):
        return {k.strip(): clean(v) for k, v in value.items()}
    return value


def within(theirs, ours):
    """Whether a JSON value has all that another one has"""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(k in ours and within(v, ours[k]) for k, v in theirs.items())
    return theirs == ours


def same_output(theirs, ours, keys=()):
    """Whether an output is another one, or that and more"""
    if theirs[:1] == '{':
        try:
            return (('\n' in theirs) == ('\n' in ours) and
                    within(without(clean(json.loads(theirs)), keys), without(json.loads(ours), keys)))
        except ValueError:
            return False
    if not theirs.strip():
        return not ours.strip()
    for k in keys:
        value = '.*' if k.endswith('features') else r'\S+'
        theirs, ours = (re.sub(rf'\b{k}( {value})?(?= |$)', k, x, flags=re.MULTILINE) for x in (theirs, ours))
    return all(any((o + ' ').startswith(t.rstrip() + ' ') for o in ours.split('\n')) for t in theirs.split('\n'))


def same_error(theirs, ours):
    """Whether each sentence is in one of ours, which may name the thing as well"""
    sentences = [re.sub(r'^Error: vdpa: |\.$', '', t) for t in theirs.split('\n')]
    return all(any(s in o for o in ours.split('\n')) for s in sentences) if theirs else not ours


SAME = {'|': same_output, '!': same_error, '=': str.__eq__}


def same(mark, theirs, ours, kinds):
    """Whether a part is the same, or differs as it shall"""
    if SAME[mark](theirs, ours):
        return True
    met = [d for d in kinds if d.has(mark, theirs, ours) or
           (mark == '|' and d.keys and same_output(theirs, ours, d.keys))]
    for d in met:
        d.used = True
    return bool(met)


def main(golden, path, differences):
    """Return: the exit status"""
    with open(differences, encoding='utf-8') as file:
        kinds = [Difference(p.split('\n')) for p in file.read().strip().split('\n\n') if p.strip() and p[:2] != '#!']
    assert all(d.reason and (d.parts or d.keys) for d in kinds), 'a difference without its reason'
    theirs, ours, bad = transcript(golden), transcript(path), 0
    assert [t[0] for t in theirs] == [o[0] for o in ours], f'{golden} is not of these commands'
    for (command, t), (_, o) in zip(theirs, ours):
        here = [d for d in kinds if d.of(command)]
        for mark, what in WHAT.items():
            if not same(mark, t[mark], o[mark], here):
                bad += 1
                print(f'$ {command}\n{what} there: {t[mark]}\n{what} here: {o[mark]}\n')
    for d in kinds:
        if not d.used:
            bad += 1
            print(f'no difference any more: {d.reason}\n')
    print(f'{len(ours)} commands, {len(kinds)} kinds of differences, {bad} that should not be')
    return bad != 0


sys.exit(main(*sys.argv[1:]))
