/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rshim-usb.c - a BlueField-2 card on USB, for the rshim daemon to find
 *
 * Preloaded in front of libusb, so the daemon runs as it was packaged. It is shown one device with
 * registers, a FIFO of 256 words each way, and behind the FIFO a Unix socket, $RSHIM_LINK. The card
 * is plugged in while there is a connection: who ends that pulls the plug. A reset ends it, too.
 *
 *	bulk out  ->  [ 256 words ]  ->  socket		as a stream of whole words
 *	bulk in   <-  [ 256 words ]  <-  socket
 *	interrupt: how many words wait
 *
 * What libusb promises is kept: callbacks come from the thread that handles events and with no lock
 * held, and transfers that are pending end before their device leaves. No transfer times out.
 */
#pragma GCC visibility push(default)
#include <libusb.h>
#pragma GCC visibility pop

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define VENDOR     0x22dc
#define PRODUCT    0x0214
#define FIFO_BYTES (256 * 8)
#define RETRY_MS   100

#define EP_BOOT  0x01
#define EP_OUT   0x02
#define EP_IN    0x83
#define EP_WORDS 0x84

/* Registers, in the channel of that number; those not named here keep what is written. */
#define CHANNEL      1
#define FABRIC       0x110 /* never 0 on a card that is up */
#define RESET        0x500 /* RESET_KEY in the lower half */
#define RESET_KEY    0xca710001
#define MEM_CTL      0x8f0 /* each write: one more response */
#define MEM_RESPONSE 0x8f8
#define TO_CARD      0xa28 /* words in the FIFO */
#define TO_HOST      0xa48
#define REGISTERS    0x1000

struct fifo {
	uint8_t data[FIFO_BYTES];
	size_t len;
};

struct libusb_context {
	pthread_mutex_t lock; /* over all of it */
	libusb_hotplug_callback_fn arrived, left;
	void *arrived_arg, *left_arg;
	int event;            /* polled by the daemon: handle_events() has work */
	int node;             /* likewise, while the device is open: the link is ready */
	int link;             /* -1: the card is not there */
	unsigned int plugged; /* how often; each time it is another device */
	uint64_t retry_ms;
	struct fifo in, out;
	struct libusb_transfer *read, *write;
	bool cancel_read, cancel_write;
	size_t written; /* of the pending write */
	uint64_t regs[REGISTERS / 8];
};

struct libusb_device {
	char unused;
};

struct libusb_device_handle {
	char unused;
};

static struct libusb_context usb = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.node = -1,
	.link = -1,
};
static struct libusb_device devices[2];
static struct libusb_device_handle handle;

static const struct libusb_endpoint_descriptor boot_endpoints[] = {
	{ .bEndpointAddress = EP_BOOT, .bmAttributes = LIBUSB_TRANSFER_TYPE_BULK },
};
static const struct libusb_endpoint_descriptor fifo_endpoints[] = {
	{ .bEndpointAddress = EP_WORDS, .bmAttributes = LIBUSB_TRANSFER_TYPE_INTERRUPT },
	{ .bEndpointAddress = EP_IN, .bmAttributes = LIBUSB_TRANSFER_TYPE_BULK },
	{ .bEndpointAddress = EP_OUT, .bmAttributes = LIBUSB_TRANSFER_TYPE_BULK },
};
static const struct libusb_interface_descriptor settings[] = {
	{ .bInterfaceSubClass = 0, .bNumEndpoints = 1, .endpoint = boot_endpoints },
	{ .bInterfaceSubClass = 1, .bNumEndpoints = 3, .endpoint = fifo_endpoints },
};
static const struct libusb_interface interfaces[] = {
	{ .altsetting = &settings[0], .num_altsetting = 1 },
	{ .altsetting = &settings[1], .num_altsetting = 1 },
};
static struct libusb_config_descriptor config = { .bNumInterfaces = 2, .interface = interfaces };

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct libusb_device *present(void)
{
	return &devices[usb.plugged % 2];
}

static void fifo_drop(struct fifo *f, size_t len)
{
	f->len -= len;
	memmove(f->data, f->data + len, f->len);
}

static void wake(void)
{
	uint64_t one = 1;

	if (write(usb.event, &one, sizeof(one)) != sizeof(one))
		abort();
}

/* Only what there is room for wakes. */
static void watch_link(int op)
{
	struct epoll_event e = { .data.fd = usb.link };

	if (usb.in.len < FIFO_BYTES)
		e.events |= EPOLLIN;
	if (usb.out.len)
		e.events |= EPOLLOUT;
	if (usb.node >= 0)
		epoll_ctl(usb.node, op, usb.link, &e);
}

/* With the lock. Return: whether the card came. */
static bool plug(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *path = getenv("RSHIM_LINK");
	uint64_t now = now_ms();
	int fd;

	if (now < usb.retry_ms || !path || strlen(path) >= sizeof(sun.sun_path))
		return false;
	usb.retry_ms = now + RETRY_MS;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	strcpy(sun.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		close(fd);
		return false;
	}
	usb.link = fd;
	usb.plugged++;
	usb.in.len = usb.out.len = 0;
	memset(usb.regs, 0, sizeof(usb.regs));
	usb.regs[FABRIC / 8] = 1;
	return true;
}

/* Move what can be moved. With the lock. Return: whether the link is still there. */
static bool link_run(void)
{
	ssize_t n;

	if (usb.in.len < FIFO_BYTES) {
		n = recv(usb.link, usb.in.data + usb.in.len, FIFO_BYTES - usb.in.len, 0);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n > 0)
			usb.in.len += (size_t)n;
	}
	if (usb.write) {
		size_t len = MIN((size_t)usb.write->length - usb.written, FIFO_BYTES - usb.out.len);

		memcpy(usb.out.data + usb.out.len, usb.write->buffer + usb.written, len);
		usb.out.len += len;
		usb.written += len;
	}
	if (usb.out.len) {
		n = send(usb.link, usb.out.data, usb.out.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n > 0)
			fifo_drop(&usb.out, (size_t)n);
	}
	watch_link(EPOLL_CTL_MOD);
	return true;
}

static struct libusb_transfer *finish(struct libusb_transfer **pending,
				      enum libusb_transfer_status status, size_t len)
{
	struct libusb_transfer *t = *pending;

	*pending = NULL;
	t->status = status;
	t->actual_length = (int)len;
	return t;
}

/* With the lock, after link_run(). Return: how many transfers are in @done. */
static unsigned int finished(struct libusb_transfer *done[2])
{
	size_t words = usb.in.len / 8, len;
	unsigned int n = 0;

	if (usb.read && (usb.link < 0 || usb.cancel_read)) {
		done[n++] = finish(
			&usb.read,
			usb.link < 0 ? LIBUSB_TRANSFER_NO_DEVICE : LIBUSB_TRANSFER_CANCELLED, 0);
	} else if (usb.read && usb.read->endpoint == EP_IN) {
		len = MIN(words, (size_t)usb.read->length / 8) * 8;
		memcpy(usb.read->buffer, usb.in.data, len);
		fifo_drop(&usb.in, len);
		done[n++] = finish(&usb.read, LIBUSB_TRANSFER_COMPLETED, len);
	} else if (usb.read && words) {
		memcpy(usb.read->buffer, &(uint64_t){ htole64(words) }, 8);
		done[n++] = finish(&usb.read, LIBUSB_TRANSFER_COMPLETED, 8);
	}
	usb.cancel_read = false;

	if (usb.write && (usb.link < 0 || usb.cancel_write))
		done[n++] =
			finish(&usb.write,
			       usb.link < 0 ? LIBUSB_TRANSFER_NO_DEVICE : LIBUSB_TRANSFER_CANCELLED,
			       usb.written);
	else if (usb.write && usb.written == (size_t)usb.write->length)
		done[n++] = finish(&usb.write, LIBUSB_TRANSFER_COMPLETED, usb.written);
	usb.cancel_write = false;
	return n;
}

/* In the thread of the daemon that handles events. Return: whether it had to say anything. */
static bool handle_events(void)
{
	bool leaves = false, comes = false;
	struct libusb_transfer *done[2];
	struct libusb_device *dev;
	unsigned int n, i;
	uint64_t count;

	pthread_mutex_lock(&usb.lock);
	if (read(usb.event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	dev = present();
	if (usb.link >= 0 && !link_run()) {
		close(usb.link);
		usb.link = -1;
		leaves = true;
	} else if (usb.link < 0) {
		comes = plug();
	}
	n = finished(done);
	pthread_mutex_unlock(&usb.lock);

	for (i = 0; i < n; i++)
		done[i]->callback(done[i]);
	if (leaves && usb.left)
		usb.left(&usb, dev, LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, usb.left_arg);
	if (comes && usb.arrived)
		usb.arrived(&usb, present(), LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED, usb.arrived_arg);
	return n || leaves || comes;
}

int libusb_init(libusb_context **ret_ctx)
{
	setvbuf(stdout, NULL, _IOLBF, 0); /* so the daemon's log has its last words */
	usb.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (usb.event < 0)
		return LIBUSB_ERROR_OTHER;
	*ret_ctx = &usb;
	return 0;
}

void libusb_exit(libusb_context *ctx)
{
	close(ctx->event);
}

int libusb_hotplug_register_callback(libusb_context *ctx, int events, int flags, int vendor,
				     int product, int class, libusb_hotplug_callback_fn cb,
				     void *arg, libusb_hotplug_callback_handle *ret_handle)
{
	(void)flags;
	(void)class;
	if (vendor != VENDOR || product != PRODUCT)
		return 0;
	if (events & LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED) {
		ctx->arrived = cb;
		ctx->arrived_arg = arg;
		handle_events();
	}
	if (events & LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT) {
		ctx->left = cb;
		ctx->left_arg = arg;
	}
	if (ret_handle)
		*ret_handle = 1;
	return 0;
}

/* A device that was opened has a descriptor of its own; the daemon wants to see a new one. */
const struct libusb_pollfd **libusb_get_pollfds(libusb_context *ctx)
{
	static struct libusb_pollfd event = { .events = POLLIN }, node = { .events = POLLIN };
	const struct libusb_pollfd **all = calloc(3, sizeof(*all));

	event.fd = ctx->event;
	node.fd = ctx->node;
	if (all) {
		all[0] = &event;
		all[1] = ctx->node < 0 ? NULL : &node;
	}
	return all;
}

int libusb_handle_events_timeout_completed(libusb_context *ctx, struct timeval *tv, int *completed)
{
	(void)ctx;
	(void)tv;
	(void)completed;
	handle_events();
	return 0;
}

/* Waits. The daemon calls it while it has no device, and is ended by a signal. */
int libusb_handle_events_completed(libusb_context *ctx, int *completed)
{
	struct pollfd p[] = { { .fd = ctx->event, .events = POLLIN },
			      { .fd = ctx->node, .events = POLLIN } };

	(void)completed;
	while (!handle_events())
		if (poll(p, 2, RETRY_MS) < 0 && errno == EINTR)
			return LIBUSB_ERROR_INTERRUPTED;
	return 0;
}

ssize_t libusb_get_device_list(libusb_context *ctx, libusb_device ***ret_list)
{
	static libusb_device *list[2];

	pthread_mutex_lock(&ctx->lock);
	list[0] = ctx->link < 0 ? NULL : present();
	pthread_mutex_unlock(&ctx->lock);
	*ret_list = list;
	return list[0] ? 1 : 0;
}

int libusb_get_device_descriptor(libusb_device *dev, struct libusb_device_descriptor *ret_desc)
{
	(void)dev;
	*ret_desc = (struct libusb_device_descriptor){ .idVendor = VENDOR, .idProduct = PRODUCT };
	return 0;
}

uint8_t libusb_get_bus_number(libusb_device *dev)
{
	(void)dev;
	return 1;
}

int libusb_get_port_numbers(libusb_device *dev, uint8_t *ret_ports, int len)
{
	(void)dev;
	if (len < 1)
		return LIBUSB_ERROR_OVERFLOW;
	ret_ports[0] = 1;
	return 1;
}

int libusb_get_active_config_descriptor(libusb_device *dev,
					struct libusb_config_descriptor **ret_config)
{
	(void)dev;
	*ret_config = &config;
	return 0;
}

int libusb_open(libusb_device *dev, libusb_device_handle **ret_handle)
{
	int r = 0;

	(void)dev;
	pthread_mutex_lock(&usb.lock);
	usb.node = usb.link < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (usb.node < 0)
		r = LIBUSB_ERROR_NO_DEVICE;
	else
		watch_link(EPOLL_CTL_ADD);
	pthread_mutex_unlock(&usb.lock);
	*ret_handle = &handle;
	return r;
}

void libusb_close(libusb_device_handle *h)
{
	(void)h;
	pthread_mutex_lock(&usb.lock);
	close(usb.node);
	usb.node = -1;
	pthread_mutex_unlock(&usb.lock);
}

int libusb_claim_interface(libusb_device_handle *h, int interface)
{
	(void)h;
	(void)interface;
	return 0;
}

int libusb_kernel_driver_active(libusb_device_handle *h, int interface)
{
	(void)h;
	(void)interface;
	return 0;
}

struct libusb_transfer *libusb_alloc_transfer(int packets)
{
	(void)packets;
	return calloc(1, sizeof(struct libusb_transfer));
}

void libusb_free_transfer(struct libusb_transfer *t)
{
	free(t);
}

int libusb_submit_transfer(struct libusb_transfer *t)
{
	struct libusb_transfer **pending = t->endpoint == EP_OUT ? &usb.write : &usb.read;
	int r = 0;

	pthread_mutex_lock(&usb.lock);
	if (usb.link < 0) {
		r = LIBUSB_ERROR_NO_DEVICE;
	} else if (*pending) {
		r = LIBUSB_ERROR_BUSY;
	} else {
		*pending = t;
		if (t->endpoint == EP_OUT)
			usb.written = 0;
		wake();
	}
	pthread_mutex_unlock(&usb.lock);
	return r;
}

int libusb_cancel_transfer(struct libusb_transfer *t)
{
	int r = 0;

	pthread_mutex_lock(&usb.lock);
	if (t && t == usb.read)
		usb.cancel_read = true;
	else if (t && t == usb.write)
		usb.cancel_write = true;
	else
		r = LIBUSB_ERROR_NOT_FOUND;
	wake();
	pthread_mutex_unlock(&usb.lock);
	return r;
}

static uint64_t reg_read(uint16_t addr)
{
	switch (addr) {
	case TO_CARD:
		return howmany(usb.out.len, 8);
	case TO_HOST:
		return usb.in.len / 8;
	default:
		return usb.regs[addr / 8];
	}
}

static void reg_write(uint16_t addr, uint64_t value)
{
	usb.regs[addr / 8] = value;
	if (addr == MEM_CTL)
		usb.regs[MEM_RESPONSE / 8]++;
	if (addr == RESET && (uint32_t)value == RESET_KEY)
		shutdown(usb.link, SHUT_RDWR);
}

int libusb_control_transfer(libusb_device_handle *h, uint8_t type, uint8_t request, uint16_t value,
			    uint16_t index, unsigned char *data, uint16_t len, unsigned int timeout)
{
	uint64_t word = 0;
	int r = len;

	(void)h;
	(void)request;
	(void)timeout;
	if (len != sizeof(word))
		return LIBUSB_ERROR_PIPE;
	pthread_mutex_lock(&usb.lock);
	if (usb.link < 0) {
		r = LIBUSB_ERROR_NO_DEVICE;
	} else if (type & LIBUSB_ENDPOINT_IN) {
		if (value == CHANNEL && index < REGISTERS)
			word = htole64(reg_read(index));
		memcpy(data, &word, sizeof(word));
	} else if (value == CHANNEL && index < REGISTERS) {
		memcpy(&word, data, sizeof(word));
		reg_write(index, le64toh(word));
	}
	pthread_mutex_unlock(&usb.lock);
	return r;
}

/* The only one that waits is the boot stream, and this card boots from elsewhere. */
int libusb_bulk_transfer(libusb_device_handle *h, unsigned char endpoint, unsigned char *data,
			 int len, int *ret_len, unsigned int timeout)
{
	(void)h;
	(void)endpoint;
	(void)data;
	(void)timeout;
	*ret_len = len;
	return 0;
}
