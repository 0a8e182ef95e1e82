/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify.pml - may a driver leave out a kick, and a device go to sleep? (virtio 1.3, 2.7.10)
 *
 * The letters are those of split-dev.c: C is the driver's index and then the device's event, D
 * the device's event and then the driver's index. Each end has a store buffer, as x86 and every
 * weaker machine has: a store becomes visible later, unless it is sequentially consistent. E and
 * F, and the packed ring, are the same question with other words in it.
 *
 * Each of these must end as its line says (tests/static/model.sh does it):
 *
 *	spin -a notify.pml			no error: every request is served
 *	spin -a -DRELEASE_C notify.pml		error: the driver's index may be late
 *	spin -a -DRELEASE_D notify.pml		error: the device's event may be late
 *	spin -a -DNO_RECHECK notify.pml		error: the device sleeps without looking again
 */
#define REQUESTS 4

byte avail_idx, avail_event;	/* in memory */
byte buf_idx, buf_event;	/* stored, perhaps not visible yet */
bit kick;			/* the eventfd */
byte served;
bit asleep;

/* Buffers empty themselves at any time. */
active proctype memory()
{
end:
	do
	:: avail_idx != buf_idx -> avail_idx = buf_idx
	:: avail_event != buf_event -> avail_event = buf_event
	od
}

active proctype driver()
{
	byte old, idx;

	do
	:: idx < REQUESTS ->
		old = idx;
		/* a burst of one or two requests costs one store and one question */
		if
		:: idx++
		:: idx + 2 <= REQUESTS -> idx = idx + 2
		fi;
		buf_idx = idx;
#ifndef RELEASE_C
		avail_idx == buf_idx;		/* C: the store is visible before the load */
#endif
		if
		:: avail_event >= old && avail_event < idx -> kick = 1
		:: else
		fi
	:: else -> break
	od
}

active proctype device()
{
	do
	:: served < avail_idx -> served = avail_idx
	:: served == REQUESTS -> break
	:: served == avail_idx && served < REQUESTS ->
		buf_event = served;
#ifndef RELEASE_D
		avail_event == buf_event;	/* D: likewise */
#endif
#ifndef NO_RECHECK
		if
		:: avail_idx != served		/* something came in between */
		:: else ->
#endif
			asleep = 1;
			kick;			/* without one, for ever: an invalid end state */
			kick = 0;
			asleep = 0
#ifndef NO_RECHECK
		fi
#endif
	od
}
