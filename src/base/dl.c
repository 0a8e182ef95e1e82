/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/dl.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

int vd_dl_load(const char *soname, const char *package, const struct vd_dl_name *names,
	       unsigned int n, void *table)
{
	void *so = dlopen(soname, RTLD_NOW | RTLD_NODELETE);
	int r = 0;

	if (!so)
		return vd_err(-EOPNOTSUPP, "%s; install %s", dlerror(), package);
	for (unsigned int i = 0; i < n && !r; i++) {
		void *fn = dlsym(so, names[i].name);

		if (!fn)
			r = vd_err(-EOPNOTSUPP, "%s; install a later %s", dlerror(), package);
		memcpy((char *)table + names[i].at, &fn, sizeof(fn));
	}
	dlclose(so);	/* it stays: RTLD_NODELETE */
	return r;
}
