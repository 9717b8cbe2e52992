// SPDX-License-Identifier: MIT
// A plugin of qemu that says on standard error how many instructions a program took. Debian packages no header of
// qemu's plugins, so what is used of it stands here.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

struct qemu_plugin_tb;  // instructions that are translated together, and run one after the other
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translated)(uint64_t id, struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb*, int operation, void* to, uint64_t value);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*at_exit)(uint64_t id, void*), void*);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
enum { add_u64 = 0 };

int qemu_plugin_version = 1;
static uint64_t instructions;

static void translated(uint64_t id, struct qemu_plugin_tb* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, add_u64, &instructions, qemu_plugin_tb_n_insns(block));
}
static void say(uint64_t id, void* nothing) {
  (void)id, (void)nothing;
  fprintf(stderr, "%" PRIu64 "\n", instructions);
}
int qemu_plugin_install(uint64_t id, const void* info, int count, char** words) {
  (void)info, (void)count, (void)words;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, say, NULL);
  return 0;
}
