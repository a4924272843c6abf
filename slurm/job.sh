# Sourced by the job scripts of this folder: environment, log, and `run_blpo`, which requeues.
#
# BLPO            command of blpo; what the launcher was started with, else `blpo` on the PATH
# BLPO_CONTAINER  what is put before it, such as "apptainer exec --nv --bind $PWD image.sif"
#                 Both are read as a shell reads words: quote a path with spaces in it.
# BLPO_LOGS       folder of logs (logs)
# BLPO_MAX_RESTARTS  restarts of one job before it gives up (20)
# BLPO_ONLINE     1: jobs may ask the Hugging Face hub; otherwise models must be in its cache
set -euo pipefail

restarts=${SLURM_RESTART_COUNT:-0}
# For one task of an array SLURM_JOB_ID is the id of the whole array: requeueing that would restart
# all its tasks.
self=$SLURM_JOB_ID
[ -z "${SLURM_ARRAY_TASK_ID:-}" ] || self=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

mkdir -p "${BLPO_LOGS:-logs}"
log=${BLPO_LOGS:-logs}/$SLURM_JOB_NAME-$self.restart-$restarts.log
echo "log: $log"
exec >>"$log" 2>&1
echo "$(date -Is) $self on $(hostname), restart $restarts, GPUs ${CUDA_VISIBLE_DEVICES:-none}"

# No file of the working folder passes for a module of what is started here.
export PYTHONSAFEPATH=1
if [ "${BLPO_ONLINE:-0}" != 1 ]; then
    export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
fi
# Compiled kernels on the node's own disk: many jobs that start at once on one shared folder wait
# for each other's locks.
export VLLM_CACHE_ROOT=${VLLM_CACHE_ROOT:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/blpo-vllm-$(id -u)}
export TMPDIR=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}

# blpo ARGUMENTS. On USR2 or TERM it is told to stop: it asks no more, stores what is in flight and
# leaves with 75. Then, and when it was killed by a signal that nobody could catch (137), this job
# goes back into the queue.
run_blpo() {
    local child='' status=0 is_told=''
    # Before it is started: without a trap, a signal at that moment would end this script.
    trap 'is_told=1; kill -USR2 "$child" 2>/dev/null || true' USR2 TERM
    # A session of its own, so that `end_all` reaches whatever it has started.
    eval "setsid ${BLPO_CONTAINER:-} ${BLPO:-blpo} \"\$@\" &"
    child=$!
    [ -z "$is_told" ] || kill -USR2 "$child" 2>/dev/null || true
    wait "$child" || status=$?
    # A trapped signal ends `wait`, not the child.
    while kill -0 "$child" 2>/dev/null; do
        status=0
        wait "$child" || status=$?
    done
    trap - USR2 TERM
    end_all "$child"
    case $status in
    75 | 137 | 140 | 143) requeue "$status" ;;
    esac
    return "$status"
}

# End what a killed process has left behind: the processes of its engine would hold on to the GPU.
end_all() {
    kill -KILL -- "-$1" 2>/dev/null || true
}

requeue() {
    # A job that was cancelled or has come to its end is not RUNNING any more: it stays away.
    local state='' second
    # A controller that is busy is asked again.
    for second in 1 2 4 8 0; do
        state=$(scontrol show job "$self" 2>/dev/null | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p') || true
        state=${state%%$'\n'*}
        [ -z "$state" ] || break
        sleep "$second"
    done
    if [ "$state" != RUNNING ]; then
        echo "$(date -Is) $self ends with $1, not requeued: it is ${state:-unknown}"
    elif [ "$restarts" -ge "${BLPO_MAX_RESTARTS:-20}" ]; then
        echo "$(date -Is) $self ends with $1, not requeued: restarted $restarts times already"
    else
        echo "$(date -Is) $self ends with $1 and goes back into the queue"
        scontrol requeue "$self"
        # Slurm ends what is left of this job; leaving first could count as the end of all of it.
        sleep 120
    fi
    return 0
}
