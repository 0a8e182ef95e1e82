/* SPDX-License-Identifier: BSD-2-Clause */
/* job.c - calls that may take long, or for ever, each in a thread of its own */
#include <stdio.h>

#include "base/err.h"
#include "base/thread.h"
#include "core/context.h"

static void *job_main(void *arg)
{
	struct vd_job *j = arg;

	j->err = j->run(j);
	if (j->err)
		snprintf(j->text, sizeof(j->text), "%s", vd_err_text());
	vd_loop_post(&j->u->loop, &j->post);
	return NULL;
}

static void job_ended(struct vd_post *p)
{
	struct vd_job *j = container_of(p, struct vd_job, post);

	pthread_join(j->thread, NULL);	/* it may be on its way out of vd_loop_post() */
	j->u->njobs--;
	if (j->err)
		vd_err(j->err, "%s", j->text);
	j->done(j, j->err);
}

int vd_job_start(struct vd_job *j, struct uvdpa *u, const char *name)
{
	int r;

	j->u = u;
	j->post.fn = job_ended;
	r = vd_thread_start(&j->thread, job_main, j, name);
	if (!r)
		u->njobs++;
	return r;
}
