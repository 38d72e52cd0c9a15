/*
 * What user-space access costs at least: the calls that src/access makes, made from C.
 *
 *     access map KIND ADDRESS...    256 MiB in pieces of 2 MiB, all groups in one container; "map2m" in ms; KIND of
 *                                   the process's pages: small or huge
 *     access page ADDRESS           4 KiB mapped and unmapped; "page" in ns for the pair
 *     access registers ADDRESS      loads and stores of BAR 0; "load" and "store" in ns
 *     access interrupt ADDRESS      edu: from the store that raises it until poll() is back; "interrupt" in ns
 *     access nvme ADDRESS COUNT     reads of 4 KiB, 32 under way, told by an interrupt; "read" in ns for one
 *     access ioctl                  an ioctl that does nothing (FIOCLEX); "ioctl" in ns
 *
 * Prints one JSON object. Figures are of the fastest of several passes; of reads the median, because the disk of the
 * emulator works in threads of its own, and now and then a pass is lucky.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAP_PASSES 200
#define PAGE_PASSES 20
#define REGISTER_PASSES 50
#define READ_PASSES 20
#define IOCTL_PASSES 5
#define TOTAL (256UL << 20)
#define PIECE (2UL << 20)
#define PAGE 4096UL
#define GROUPS 64

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

struct user {
	int container, groups[GROUPS], count, device;
};

static int open_group(const char *address)
{
	char link[256], target[256], path[64];
	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", address);
	ssize_t length = readlink(link, target, sizeof(target) - 1);
	check(length, link);
	target[length] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	return check(open(path, O_RDWR), path);
}

static struct user open_user(int count, char **addresses)
{
	struct user user = { .count = count, .device = -1 };
	user.container = check(open("/dev/vfio/vfio", O_RDWR), "container");
	for (int n = 0; n < count; n++) {
		user.groups[n] = open_group(addresses[n]);
		check(ioctl(user.groups[n], VFIO_GROUP_SET_CONTAINER, &user.container), "SET_CONTAINER");
		if (n == 0)
			check(ioctl(user.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	}
	return user;
}

static void open_device(struct user *user, const char *address)
{
	user->device = check(ioctl(user->groups[0], VFIO_GROUP_GET_DEVICE_FD, address), "device");
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	check(ioctl(user->device, VFIO_DEVICE_GET_REGION_INFO, &config), "config");
	uint16_t command;
	check(pread(user->device, &command, 2, config.offset + 4), "command");
	command |= 6;
	check(pwrite(user->device, &command, 2, config.offset + 4), "command");
}

static void close_user(struct user *user)
{
	if (user->device >= 0)
		close(user->device);
	for (int n = 0; n < user->count; n++)
		close(user->groups[n]);
	close(user->container);
}

/* As the library: memory of "small" pages is shared, so that a child does not take it away from the devices. */
static void *small_memory(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* As the library: huge pages of the pool, or addresses on which the system may put huge pages. */
static void *huge_memory(size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (memory != MAP_FAILED)
		return memory;
	memory = mmap(NULL, size + PIECE, PROT_READ | PROT_WRITE, flags, -1, 0);
	memory = (void *)(((uintptr_t)memory + PIECE - 1) & ~(PIECE - 1));
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static void map(struct user *user, void *memory, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map argument = {
		.argsz = sizeof(argument), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory, .iova = iova, .size = size,
	};
	check(ioctl(user->container, VFIO_IOMMU_MAP_DMA, &argument), "MAP_DMA");
}

static void unmap(struct user *user, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap argument = { .argsz = sizeof(argument), .iova = iova, .size = size };
	check(ioctl(user->container, VFIO_IOMMU_UNMAP_DMA, &argument), "UNMAP_DMA");
}

static void run_map(char **addresses, int count, int huge)
{
	char *memory = huge ? huge_memory(TOTAL) : small_memory(TOTAL);
	memset(memory, 1, TOTAL);
	struct user user = open_user(count, addresses);
	double best = 1e18;
	for (int pass = 0; pass < MAP_PASSES; pass++) {
		double started = now();
		for (uint64_t at = 0; at < TOTAL; at += PIECE)
			map(&user, memory + at, PIECE + at, PIECE);
		double took = now() - started;
		if (took < best)
			best = took;
		for (uint64_t at = 0; at < TOTAL; at += PIECE)
			unmap(&user, PIECE + at, PIECE);
	}
	printf("{\"map2m\": %.3f}\n", best / 1e6);
	close_user(&user);
}

static void run_page(char **addresses)
{
	struct user user = open_user(1, addresses);
	char *memory = small_memory(PAGE);
	memory[0] = 1;
	const int count = 2000;
	double best = 1e18;
	for (int pass = 0; pass < PAGE_PASSES; pass++) {
		double started = now();
		for (int n = 0; n < count; n++) {
			map(&user, memory, PAGE, PAGE);
			unmap(&user, PAGE, PAGE);
		}
		double took = (now() - started) / count;
		if (took < best)
			best = took;
	}
	printf("{\"page\": %.0f}\n", best);
	close_user(&user);
}

static volatile uint32_t *map_bar(struct user *user, size_t size)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = 0 };
	check(ioctl(user->device, VFIO_DEVICE_GET_REGION_INFO, &bar), "bar");
	void *window = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, user->device, bar.offset);
	if (window == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return window;
}

static void run_registers(char **addresses)
{
	struct user user = open_user(1, addresses);
	open_device(&user, addresses[0]);
	volatile uint32_t *registers = map_bar(&user, PAGE);
	const int count = 100000;
	double load = 1e18, store = 1e18;
	uint32_t sum = 0;
	for (int pass = 0; pass < REGISTER_PASSES; pass++) {
		double started = now();
		for (int n = 0; n < count; n++)
			sum ^= registers[0];
		double took = (now() - started) / count;
		if (took < load)
			load = took;
		started = now();
		for (int n = 0; n < count; n++)
			registers[1] = n;
		took = (now() - started) / count;
		if (took < store)
			store = took;
	}
	printf("{\"load\": %.0f, \"store\": %.0f, \"sum\": %u}\n", load, store, sum);
	close_user(&user);
}

static int signal_on(struct user *user, int index, int count)
{
	char buffer[sizeof(struct vfio_irq_set) + 8 * sizeof(int)];
	struct vfio_irq_set *set = (void *)buffer;
	int event = check(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
	set->argsz = sizeof(*set) + count * sizeof(int);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->start = 0;
	set->count = count;
	for (int n = 0; n < count; n++)
		((int *)set->data)[n] = event;
	check(ioctl(user->device, VFIO_DEVICE_SET_IRQS, set), "SET_IRQS");
	return event;
}

static void wait_for(int event)
{
	struct pollfd wanted = { .fd = event, .events = POLLIN };
	uint64_t counted;
	check(poll(&wanted, 1, -1), "poll");
	check(read(event, &counted, 8), "read");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void run_interrupt(char **addresses)
{
	struct user user = open_user(1, addresses);
	open_device(&user, addresses[0]);
	volatile uint32_t *registers = map_bar(&user, PAGE);
	int event = signal_on(&user, VFIO_PCI_MSI_IRQ_INDEX, 1);
	static double times[500];
	for (int n = 0; n < 500; n++) {
		double started = now();
		registers[0x60 / 4] = 1;
		wait_for(event);
		times[n] = now() - started;
		registers[0x64 / 4] = 1;
	}
	qsort(times, 500, sizeof(times[0]), by_value);
	printf("{\"interrupt\": %.0f}\n", times[250]);
	close_user(&user);
}

/* NVM Express 1.4: as examples/nvme-*.ts, with one queue. */
#define DEPTH 64
#define UNDER_WAY 32
struct queue {
	uint32_t *submissions, *completions;
	uint64_t data;
	unsigned tail, head, phase, id, stride;
	volatile uint32_t *registers;
};

static struct queue make_queue(struct user *user, volatile uint32_t *registers, unsigned id)
{
	static uint64_t iova = PIECE;
	size_t size = (2 + DEPTH) * PAGE;
	char *memory = small_memory(size);
	map(user, memory, iova, size);
	struct queue queue = {
		.submissions = (void *)memory, .completions = (void *)(memory + PAGE), .data = iova + 2 * PAGE,
		.phase = 1, .id = id, .stride = 4u << (registers[1] & 0xf), .registers = registers,
	};
	iova += size;
	return queue;
}

static void submit(struct queue *queue, unsigned slot, const uint32_t *words, uint64_t data)
{
	uint32_t *entry = queue->submissions + queue->tail * 16;
	memset(entry, 0, 64);
	entry[0] = words[0] | slot << 16;
	entry[1] = words[1];
	entry[6] = data;
	entry[7] = data >> 32;
	memcpy(entry + 10, words + 2, 3 * sizeof(uint32_t));
	queue->tail = (queue->tail + 1) % DEPTH;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	queue->registers[(0x1000 + 2 * queue->id * queue->stride) / 4] = queue->tail;
}

/* Slots of the answers that have come. */
static int reap(struct queue *queue, unsigned *slots)
{
	int count = 0;
	for (;;) {
		uint32_t last = ((volatile uint32_t *)queue->completions)[queue->head * 4 + 3];
		if ((last >> 16 & 1) != queue->phase)
			break;
		if (last >> 17) {
			fprintf(stderr, "status 0x%x\n", last >> 17);
			exit(1);
		}
		slots[count++] = last & 0xffff;
		queue->head = (queue->head + 1) % DEPTH;
		if (queue->head == 0)
			queue->phase ^= 1;
	}
	if (count)
		queue->registers[(0x1000 + (2 * queue->id + 1) * queue->stride) / 4] = queue->head;
	return count;
}

static void run_one(struct queue *queue, int event, const uint32_t *words, uint64_t data)
{
	unsigned slots[DEPTH];
	submit(queue, 0, words, data);
	while (reap(queue, slots) == 0)
		wait_for(event);
}

static void run_nvme(char **addresses, int count)
{
	struct user user = open_user(1, addresses);
	open_device(&user, addresses[0]);
	volatile uint32_t *registers = map_bar(&user, 2 * PAGE);
	registers[0x14 / 4] = 0;
	while (registers[0x1c / 4] & 1)
		usleep(1000);
	struct queue admin = make_queue(&user, registers, 0);
	uint64_t base = admin.data - 2 * PAGE;
	registers[0x24 / 4] = (DEPTH - 1) << 16 | (DEPTH - 1);
	registers[0x28 / 4] = base;
	registers[0x2c / 4] = base >> 32;
	registers[0x30 / 4] = base + PAGE;
	registers[0x34 / 4] = (base + PAGE) >> 32;
	int event = signal_on(&user, VFIO_PCI_MSIX_IRQ_INDEX, 2);
	registers[0x14 / 4] = 1 | 6 << 16 | 4 << 20;
	while (!(registers[0x1c / 4] & 1))
		usleep(1000);
	struct queue queue = make_queue(&user, registers, 1);
	base = queue.data - 2 * PAGE;
	uint32_t completions[5] = { 0x05, 0, (DEPTH - 1) << 16 | 1, 1 << 16 | 3, 0 };
	uint32_t submissions[5] = { 0x01, 0, (DEPTH - 1) << 16 | 1, 1 << 16 | 1, 0 };
	run_one(&admin, event, completions, base + PAGE);
	run_one(&admin, event, submissions, base);

	static double times[READ_PASSES];
	for (int pass = 0; pass < READ_PASSES; pass++) {
		int started = 0, done = 0;
		unsigned slots[DEPTH], place = 1;
		double from = now();
		while (done < count) {
			int freed = started == 0 ? UNDER_WAY : reap(&queue, slots);
			if (freed == 0) {
				wait_for(event);
				continue;
			}
			if (started != 0)
				done += freed;
			for (int n = 0; n < freed && started < count; n++, started++) {
				unsigned slot = started < UNDER_WAY ? (unsigned)n : slots[n];
				place = place * 1664525 + 1013904223;
				uint32_t words[5] = { 0x02, 1, (place >> 8) % 8192 * 8, 0, 7 };
				submit(&queue, slot, words, queue.data + slot * PAGE);
			}
		}
		times[pass] = (now() - from) / count;
	}
	qsort(times, READ_PASSES, sizeof(times[0]), by_value);
	printf("{\"read\": %.0f}\n", times[READ_PASSES / 2]);
	registers[0x14 / 4] = 0;
	close_user(&user);
}

static void run_ioctl(void)
{
	int fd = check(open("/dev/null", O_RDWR), "/dev/null");
	const int count = 1000000;
	double best = 1e18;
	for (int pass = 0; pass < IOCTL_PASSES; pass++) {
		double started = now();
		for (int n = 0; n < count; n++)
			ioctl(fd, FIOCLEX, &started);
		double took = (now() - started) / count;
		if (took < best)
			best = took;
	}
	printf("{\"ioctl\": %.1f}\n", best);
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";
	char **rest = words + 2;
	if (!strcmp(what, "map"))
		run_map(rest + 1, count - 3, *rest[0] == 'h');
	else if (!strcmp(what, "page"))
		run_page(rest);
	else if (!strcmp(what, "registers"))
		run_registers(rest);
	else if (!strcmp(what, "interrupt"))
		run_interrupt(rest);
	else if (!strcmp(what, "nvme"))
		run_nvme(rest, atoi(rest[1]));
	else if (!strcmp(what, "ioctl"))
		run_ioctl();
	else
		return 2;
	return 0;
}
