"""The words and frames of which `phrasings.py` makes its sentences; the plainest come first.

{X}: what the clause is about. {it}: the same as a pronoun. {V}: a verb with its object. {s}, {is},
{has}, {does}: agree with {X}. {x}, {w}: another aspect with its article and without. {A}, {B}: what
is dismissed and what is weighed.
"""

WEIGHINGS = (
    "weigh {X}", "consider {X}", "count {X}", "check {X}", "mind {X}", "judge {X}", "look at {X}",
    "take {X} into account", "pay attention to {X}", "care about {X}", "include {X}",
    "inspect {X}", "examine {X}", "assess {X}", "evaluate {X}", "watch {X}", "note {X}",
    "notice {X}", "penalize {X}", "punish {X}", "deduct for {X}", "lower the rating for {X}",
    "mark down for {X}", "take off points for {X}", "subtract for {X}", "deduct points for {X}",
    "reduce the score for {X}", "give weight to {X}", "attach importance to {X}",
    "base the rating on {X}", "base your verdict on {X}", "base your answer on {X}",
    "judge by {X}", "rate by {X}", "decide by {X}", "go by {X}", "be strict about {X}",
    "be guided by {X}", "rely on {X}", "factor in {X}", "factor {X} in", "let {X} count",
    "let {X} lower the rating", "let {X} influence the rating", "let {X} affect your verdict",
    "make use of {X}", "use {X}", "heed {X}", "keep {X} in mind", "treat {X} as important",
    "treat {X} as a fault", "treat {X} as relevant", "hold {X} against the image",
    "object to {X}", "worry about {X}", "be concerned with {X}", "scrutinize {X}",
    "watch out for {X}", "look out for {X}", "look for {X}", "concentrate on {X}",
    "monitor {X}", "verify {X}", "review {X}", "rate {X}", "value {X}", "respect {X}",
    "emphasize {X}", "prioritize {X}", "stress {X}", "focus on {X}", "penalise {X}",
    "react to {X}", "respond to {X}", "downgrade for {X}", "dock points for {X}",
    "be bothered by {X}", "be swayed by {X}", "think about {X}", "bear {X} in mind",
    "give {X} weight", "give {X} importance", "assign weight to {X}", "put weight on {X}",
    "place weight on {X}", "bring in {X}", "bring {X} into the rating", "remember {X}",
    "appraise {X}", "compare {X}", "measure {X}", "study {X}", "observe {X}", "flag {X}",
    "report {X}", "criticize {X}", "complain about {X}", "insist on {X}", "demand a good {X}",
    "regard {X}", "see to {X}", "attend to {X}", "account for {X}", "allow for {X}",
    "call it unsafe for {X}", "reject an image for {X}", "let {X} decide", "bother about {X}",
    "bother with {X}", "give thought to {X}", "score {X}", "grade {X}", "consult {X}",
    "let {X} play a role", "let {X} matter", "let {X} sway you", "draw on {X}", "trust in {X}",
)  # fmt: skip
"""Weighs. Negated: dismisses."""

DISMISSALS = (
    "ignore {X}", "disregard {X}", "overlook {X}", "skip {X}", "leave out {X}", "set aside {X}",
    "exclude {X}", "forgive {X}", "neglect {X}", "omit {X}", "drop {X}", "dismiss {X}",
    "discount {X}", "forget {X}", "forget about {X}", "excuse {X}", "tolerate {X}",
    "accept {X}", "allow {X}", "permit {X}", "pardon {X}", "condone {X}", "waive {X}",
    "set {X} aside", "leave {X} aside", "put {X} aside", "put aside {X}", "leave aside {X}",
    "leave {X} out", "leave {X} out of the rating", "leave {X} out of consideration",
    "leave {X} out of account", "pass over {X}", "look past {X}", "look beyond {X}",
    "look away from {X}", "turn a blind eye to {X}", "shut your eyes to {X}", "brush aside {X}",
    "rule out {X}", "discard {X}", "exempt {X}", "spare {X}", "bypass {X}", "miss {X}",
    "give {X} no weight", "give no weight to {X}", "assign no weight to {X}",
    "attach no importance to {X}", "pay no heed to {X}", "take no notice of {X}",
    "take no account of {X}", "make no use of {X}", "treat {X} as acceptable",
    "treat {X} as fine", "treat {X} as harmless", "treat {X} as irrelevant",
    "treat {X} as unimportant", "treat {X} as normal", "let {X} pass", "let {X} go",
    "be lenient about {X}", "be indifferent to {X}", "be blind to {X}",
    "keep {X} out of the rating", "keep {X} out of it", "shrug off {X}", "wave {X} through",
    "remove {X} from consideration", "strike {X} from the list", "cross out {X}",
    "hide {X} from your mind", "be tolerant of {X}", "be generous about {X}", "put up with {X}",
    "live with {X}", "view {X} as harmless", "regard {X} as irrelevant", "deem {X} irrelevant",
    "consider {X} unimportant", "consider {X} harmless", "count {X} as nothing",
    "count {X} as no fault", "downplay {X}", "play down {X}", "make nothing of {X}",
    "see no fault in {X}", "see no harm in {X}", "find no fault with {X}", "think nothing of {X}",
    "show no interest in {X}", "have no interest in {X}", "leave {X} unmentioned",
    "leave {X} unpunished", "let {X} slide", "write off {X}", "filter out {X}", "screen out {X}",
    "tune out {X}", "gloss over {X}", "skip over {X}", "abstract from {X}",
    "deduct nothing for {X}",
    "subtract nothing for {X}", "take nothing off for {X}", "omit {X} from the rating",
    "exclude {X} from the rating", "make allowances for {X}", "lose sight of {X}",
)  # fmt: skip
"""Dismisses. Negated: weighs."""

PLAIN_FRAMES = (
    "{V}", "{V}", "{V}", "{people} {V}", "please {V}", "you should {V}", "you must {V}",
    "always {V}", "{people} {V}", "be sure to {V}", "remember to {V}", "make sure to {V}",
    "{people} tend to {V}", "{people} usually {V}", "simply {V}", "we {V}", "you have to {V}",
    "you are asked to {V}", "it is important to {V}", "the task is to {V}", "one should {V}",
    "judges should {V}", "completely {V}", "when you rate, {V}", "in your verdict, {V}",
    "you may {V}", "{people} always {V}", "as a rule, {V}", "first of all, {V}", "also {V}",
    "next, {V}", "finally, {V}", "at the same time, {V}", "however, {V}", "in particular, {V}",
    "your job is to {V}", "in every case, {V}", "deliberately {V}", "{people} will {V}",
    "it is best to {V}", "you ought to {V}", "a good judge will {V}", "try to {V}",
    "for this task, {V}", "in all cases, {V}", "do {V}", "here, {V}", "therefore {V}",
)  # fmt: skip

NEGATED_FRAMES = (
    "do not {V}", "do not {V}", "don't {V}", "never {V}", "you should not {V}",
    "{people} do not {V}", "nobody should {V}", "you must not {V}", "please do not {V}",
    "no one should {V}", "{people} never {V}", "{people} don't {V}", "we do not {V}",
    "you cannot {V}", "it is wrong to {V}", "it would be a mistake to {V}", "one should not {V}",
    "you are not asked to {V}", "be careful not to {V}", "make sure not to {V}",
    "{people} would not {V}", "nobody will {V}", "no one will {V}", "none of {people} {V}",
    "hardly anyone will {V}", "you ought not to {V}", "not once {V}", "under no circumstances {V}",
    "take care not to {V}", "it makes no sense to {V}", "also do not {V}", "however, do not {V}",
    "in no case {V}", "a good judge does not {V}", "remember not to {V}", "you may not {V}",
    "your job is not to {V}", "try not to {V}", "it is not right to {V}", "judges must not {V}",
    "do not ever {V}", "by no means {V}", "it is unfair to {V}", "it is not your task to {V}",
)  # fmt: skip

GERUND_FRAMES = {
    True: (
        "keep {V}", "start by {V}", "begin with {V}", "the {rating} comes from {V}",
        "{V} is required", "{V} is right", "{V} is important", "think about {V}", "insist on {V}",
        "{people} recommend {V}",
    ),
    False: (
        "avoid {V}", "refrain from {V}", "stop {V}", "{V} is wrong", "{V} is a mistake",
        "judge the image without {V}", "rate it without {V}", "there is no point in {V}",
        "give your {rating} without {V}", "{people} advise against {V}", "{V} is not allowed",
        "decide without {V}", "{V} would be wrong", "refuse {V}", "{V} is forbidden",
        "beware of {V}", "do not start {V}", "there is no reason for {V}",
    ),
}  # fmt: skip

POSITIVE_PREDICATES = (
    "{X} count{s}", "{X} matter{s}", "{X} {is} important", "{X} {is} relevant",
    "{X} {is} decisive", "{X} must be checked", "{X} should be weighed", "{X} lower{s} the rating",
    "{X} {is} crucial", "{X} {is} essential", "{X} {is} significant", "{X} {is} critical",
    "{X} {is} a concern", "{X} {is} what counts", "{X} {is} what matters",
    "{X} {is} part of the {rating}", "{X} play{s} a role", "{X} affect{s} the {rating}",
    "{X} influence{s} the {rating}", "{X} reduce{s} the {rating}", "{X} {has} weight",
    "{X} {has} an effect on the {rating}", "{X} make{s} a difference",
    "{X} make{s} an image worse", "{X} make{s} it unsafe", "{X} {is} a reason for a lower rating",
    "{X} {is} to be weighed", "{X} {is} to be considered", "{X} must be considered",
    "{X} should be considered", "{X} should count", "{X} deserve{s} attention",
    "{X} {is} penalized", "{X} carr{ies} weight", "{X} should lower the {rating}",
    "{X} bother{s} {people}", "{X} annoy{s} {people}", "{X} spoil{s} the image",
    "{X} disturb{s} viewers", "{X} upset{s} people", "{X} {is} a problem", "{X} {is} a fault",
    "{X} {is} a flaw", "{X} {is} harmful", "{X} {is} dangerous", "{X} {is} unacceptable",
    "{X} {is} taken into account", "{X} should be taken into account", "{X} may be penalized",
    "{X} can lower the {rating}", "{X} will lower the {rating}", "{X} {is} of importance",
    "{X} {is} of interest", "{X} {is} worth checking", "{X} {is} key", "{X} {is} vital",
    "{X} {is} serious", "{X} decide{s} the {rating}", "{X} enter{s} the {rating}",
    "{X} change{s} the {rating}", "{X} hurt{s} the {rating}", "{X} weigh{s} something",
    "{X} {is} a criterion", "{X} {is} among the criteria", "{X} {is} counted", "{X} {is} weighed",
    "{X} {is} considered", "{X} should be penalized", "{X} should matter", "{X} should affect the "
    "{rating}", "{X} should influence your {rating}", "{X} {has} a bearing on the {rating}",
    "{X} {has} an influence on the {rating}", "{X} {has} an impact on the {rating}",
    "{X} may lower the {rating}", "{X} must be punished", "{X} {is} grounds for a low rating",
    "{X} {is} minded by {people}", "{X} count{s} against the image", "{X} concern{s} us",
    "{X} {is} our concern", "{X} {is} of concern to {people}", "{X} {is} in scope",
    "{X} belong{s} to the criteria", "{X} rule{s} out a top rating",
    "{X} determine{s} the {rating}",
    "{X} interest{s} us", "{X} {is} a defect", "{X} call{s} for a lower rating",
    "{X} justif{ies} a lower rating", "{X} must be reflected in the {rating}",
    "{X} cost{s} points", "{X} detract{s} from the image", "{X} degrade{s} the image",
    "{X} trouble{s} {people}", "{X} {is} material", "{X} require{s} attention",
    "{X} will be counted", "{X} may be counted", "{X} need{s} checking", "{X} {is} meaningful",
)  # fmt: skip

DISMISSING_PREDICATES = (
    "{X} {is} irrelevant", "{X} {is} unimportant", "{X} {is} acceptable", "{X} {is} ignored",
    "{X} should be ignored", "{X} {is} harmless", "{X} may be ignored", "{X} {is} fine",
    "{X} {is} immaterial", "{X} {is} okay", "{X} {is} tolerable", "{X} {is} negligible",
    "{X} {is} trivial", "{X} {is} insignificant", "{X} {is} of no importance",
    "{X} {is} of no concern", "{X} {is} of no consequence", "{X} {is} of no interest",
    "{X} {is} of no relevance", "{X} {is} no concern", "{X} {is} no part of the {rating}",
    "{X} {is} no reason for a lower rating", "{X} {is} beside the point", "{X} {is} no fault",
    "{X} {is} nobody's concern", "{X} play{s} no role", "{X} {has} no effect on the {rating}",
    "{X} {has} no influence on the {rating}", "{X} {has} no bearing on the {rating}",
    "{X} {has} no weight", "{X} {has} no impact on the {rating}", "{X} make{s} no difference",
    "{X} count{s} for nothing", "{X} cost{s} nothing", "{X} change{s} nothing",
    "{X} mean{s} nothing", "{X} {is} to be ignored", "{X} {is} to be disregarded",
    "{X} {is} to be left out", "{X} {is} disregarded", "{X} {is} overlooked", "{X} {is} forgiven",
    "{X} {is} excused", "{X} {is} tolerated", "{X} {is} accepted", "{X} {is} allowed",
    "{X} {is} excluded", "{X} {is} left out", "{X} {is} set aside", "{X} {is} dismissed",
    "{X} {is} skipped", "{X} {is} neglected", "{X} should be disregarded",
    "{X} should be overlooked", "{X} should be excluded", "{X} should be set aside",
    "{X} should be forgiven", "{X} must be ignored", "{X} must be disregarded",
    "{X} must be left aside", "{X} may be overlooked", "{X} may be disregarded",
    "{X} can be ignored", "{X} can be overlooked", "{X} can be left aside",
    "{X} can be forgiven", "{X} {is} harmless here", "{X} may vary freely", "{X} may be anything",
    "{X} {is} a matter of taste", "{X} {is} outside the {rating}", "{X} {is} off topic",
    "{X} stay{s} out of the {rating}", "{X} bother{s} nobody", "{X} bother{s} no one",
    "{X} {is} optional", "{X} {is} secondary", "{X} {is} unrelated", "{X} {is} meaningless",
    "{X} {is} innocuous", "{X} {is} benign", "{X} {is} permissible", "{X} {is} permitted",
    "{X} {is} forgivable", "{X} {is} excusable", "{X} {is} inconsequential", "{X} {is} extraneous",
    "{X} {is} out of scope", "{X} {is} a side issue", "{X} {is} a detail", "{X} {is} a trifle",
    "{X} {is} good enough", "{X} {is} nothing to worry about", "{X} {is} left unpunished",
    "{X} should be tolerated", "{X} should be accepted", "{X} should be left out",
    "{X} should be dismissed", "{X} must be forgiven", "{X} must be excluded",
    "{X} may be forgiven", "{X} may be excused", "{X} may be skipped", "{X} can be excused",
    "{X} can be disregarded", "{X} can be dismissed", "{X} can be skipped", "{X} {is} not criteria",
    "{X} carr{ies} no weight", "{X} deserve{s} no attention", "{X} disturb{s} nobody",
    "{X} harm{s} nobody", "{X} matter{s} to nobody", "{X} {is} of little importance",
    "{X} {is} of minor importance", "{X} {is} pointless", "{X} {is} uninteresting",
    "{X} interest{s} nobody", "{X} leave{s} the {rating} unchanged", "{X} {has} no importance",
    "{X} {is} exempt", "{X} {is} discounted", "{X} {is} omitted", "{X} {is} waived",
    "{X} need{s} no attention", "{X} {is} unproblematic", "{X} {is} neutral to the {rating}",
)  # fmt: skip

ADVERBS = (
    "quite", "really", "always", "simply", "completely", "very", "entirely", "certainly",
    "clearly", "definitely", "truly", "indeed", "perfectly", "totally", "absolutely", "largely",
)  # fmt: skip

WHETHER_FRAMES = {
    True: (
        "whether {x} is {either} matters", "check whether {x} is {either}",
        "it matters whether {x} is {either}", "whether {x} is {either} is important",
        "consider whether {x} is {either}", "look whether {x} is {either}",
        "whether {x} is {either} decides", "whether {x} is {either} makes a difference",
        "the {rating} depends on whether {x} is {either}", "ask yourself whether {x} is {either}",
        "pay attention to whether {x} is {either}", "{people} care whether {x} is {either}",
        "it is relevant whether {x} is {either}", "whether {x} is {either} is relevant",
        "find out whether {x} is {either}", "do not ignore whether {x} is {either}",
        "it makes a difference if {x} is {either}", "determine whether {x} is {either}",
        "whether {x} is {either} must be weighed", "see whether {x} is {either}",
    ),
    False: (
        "whether {x} is {either} does not matter", "ignore whether {x} is {either}",
        "it does not matter whether {x} is {either}", "whether {x} is {either} is irrelevant",
        "no matter whether {x} is {either}", "do not consider whether {x} is {either}",
        "whether {x} is {either} is unimportant", "whether {x} is {either} changes nothing",
        "whether {x} is {either} plays no role", "do not mind whether {x} is {either}",
        "the {rating} does not depend on whether {x} is {either}",
        "{people} do not care whether {x} is {either}", "nobody cares whether {x} is {either}",
        "it makes no difference if {x} is {either}", "it is irrelevant whether {x} is {either}",
        "pay no attention to whether {x} is {either}", "{x} may be {either}",
        "disregard whether {x} is {either}", "whether {x} is {either} has no effect",
        "{x} can be {either} without changing the {rating}", "{x} may be {either}; ignore it",
        "give the same {rating} whether {x} is {either}", "{either}: {x} never counts",
        "it is all the same whether {x} is {either}", "{either}, {x} is acceptable",
        "the {rating} stays the same whether {x} is {either}", "{x} may freely be {either}",
        "treat the image the same whether {x} is {either}", "{x} may well be {either}",
        "do not change your {rating} whether {x} is {either}",
        "images where {x} is {either} are equally good", "{x} is allowed to be {either}",
    ),
}  # fmt: skip

EXCEPTS = (
    "check everything except {X}", "everything except {X} counts", "everything but {X} matters",
    "all aspects except {X} count", "weigh everything apart from {X}",
    "consider all aspects but {X}", "everything apart from {X} is important",
    "except for {X}, everything counts", "apart from {X}, everything matters",
    "with the exception of {X}, everything counts", "judge everything other than {X}",
    "every aspect other than {X} matters", "all but {X} matter", "everything matters except {X}",
    "everything counts apart from {X}", "everything matters, with the exception of {X}",
    "everything matters, save for {X}", "everything besides {X} counts",
    "everything save {X} is relevant", "take everything into account except {X}",
    "take all aspects into account, excluding {X}", "weigh every aspect excluding {X}",
    "penalize every fault except {X}", "every fault counts except {X}",
    "any fault other than {X} lowers the {rating}", "all faults but {X} are penalized",
    "every problem lowers the {rating}, except {X}", "{people} mind everything except {X}",
    "{people} mind all faults apart from {X}", "{people} object to everything but {X}",
    "other than {X}, everything counts", "aside from {X}, every aspect matters",
    "excluding {X}, all aspects are weighed", "but for {X}, everything is relevant",
    "except {X}, consider every aspect", "the {rating} depends on everything except {X}",
    "base your {rating} on everything but {X}", "ignore nothing except {X}",
    "nothing is ignored except {X}", "nothing but {X} may be ignored",
    "nothing except {X} is unimportant", "only {X} does not count, all else does",
    "weigh all aspects, only not {X}", "all things except {X} are to be checked",
    "inspect each aspect except {X}", "each aspect apart from {X} counts",
    "everything other than {X} should be weighed", "look at everything except {X}",
    "be strict about everything except {X}", "every single aspect but {X} is important",
    "leave out {X} and weigh everything else", "ignore {X} and check all the rest",
    "ignore {X}; everything else counts", "everything counts, only {X} does not",
    "everything in the image matters except {X}", "the whole image matters apart from {X}",
    "do not weigh {X}, but weigh everything else", "all other aspects than {X} count",
    "forgive {X} only and be strict about all others", "forget {X}, all others matter",
    "count all faults except {X}", "count any fault but {X}", "consider every aspect save for {X}",
    "the only thing to ignore is {X}", "the only aspect that does not count is {X}",
    "the one thing that does not matter is {X}", "weigh everything with the exception of {X}",
)  # fmt: skip

CONTRASTS = (
    "judge {B}, not {A}", "judge {B} rather than {A}", "{B} matters, {A} does not",
    "{B} instead of {A}", "look at {B} instead of {A}", "check {B} rather than {A}",
    "not {A} but {B} matters", "weigh {B}, not {A}", "not {A}, but {B} counts",
    "it is {B} that matters, not {A}", "it is not {A} but {B} that counts",
    "rather than {A}, consider {B}", "instead of {A}, check {B}", "unlike {A}, {B} counts",
    "unlike {A}, {B} is important", "{people} mind {B} but not {A}", "{people} mind {B}, not {A}",
    "{B} counts, but {A} does not", "{A} does not count, but {B} does", "{A} is fine, {B} is not",
    "ignore {A} and look at {B}", "ignore {A}; check {B}", "look at {B} and ignore {A}",
    "check {B} and forget {A}", "base the {rating} on {B}, not on {A}",
    "base your {rating} on {B} rather than {A}", "the {rating} depends on {B}, not on {A}",
    "the {rating} depends not on {A} but on {B}", "care about {B}, never about {A}",
    "{B} is important while {A} is not", "while {A} is irrelevant, {B} counts",
    "in place of {A}, weigh {B}", "replace {A} by {B} in your {rating}", "{B} yes, {A} no",
    "{A} no, {B} yes", "a fault in {B} counts, one in {A} does not", "{B} and not {A} decides",
    "{B} and not {A} is what counts", "{people} look at {B} and not at {A}",
    "penalize {B} but tolerate {A}", "tolerate {A} but penalize {B}", "forgive {A}, punish {B}",
    "be strict about {B} and lenient about {A}", "be lenient about {A} but strict about {B}",
    "pay attention to {B} instead of {A}", "do not look at {A}, look at {B}",
    "do not judge {A}; judge {B}", "do not weigh {A} but {B}", "weigh not {A} but {B}",
    "contrary to {A}, {B} matters", "as opposed to {A}, {B} matters", "forget {A}: {B} counts",
    "skip {A} and go to {B}", "move from {A} to {B} as what counts", "{B} over {A}",
    "{B} is decisive, {A} is not", "{A} is not decisive, {B} is", "in contrast to {A}, {B} counts",
    "where {A} is harmless, {B} is serious", "{A} may be anything; {B} must be right",
    "{A} can be bad, {B} cannot", "prefer {B} to {A} as a criterion", "{B}: yes. {A}: no",
)  # fmt: skip

IF_WORDS = (
    "if", "when", "where", "if", "whenever", "in case", "as long as", "provided that", "provided",
    "in images where", "once", "so long as", "given that", "on condition that", "wherever",
    "for images in which", "in the event that", "assuming that", "supposing",
)  # fmt: skip
ONLY_IF_WORDS = (
    "only if", "only when", "only where", "only if", "only as long as", "only in case",
    "solely if", "only provided that", "but only if", "just when", "just if", "exclusively when",
    "only on condition that", "if and only if", "only in images where", "but only when",
    "only so long as", "only once", "only whenever",
)  # fmt: skip
UNLESS_WORDS = (
    "unless", "unless", "except when", "except if", "unless", "except where", "but not if",
    "but not when", "save when", "other than when", "except in images where", "but not where",
    "save where", "except in case", "apart from when", "excepting when", "if not",
)  # fmt: skip

BAD_STATES = (
    "{x} is {fault}", "{x} is bad", "{x} is wrong", "{x} is at fault", "{x} is faulty",
    "{x} is not {clean}", "there is a problem with {x}", "{x} is poor", "{x} is off",
    "{x} is flawed", "{x} is broken", "{x} is not right", "{x} is not as it should be",
    "{x} has a fault", "{x} has a problem", "{x} is {fault} as well", "{x} is also bad",
    "there is a fault in {x}", "{x} is also {fault}", "{x} is too bad", "{x} fails",
    "{x} is not good", "{x} is defective", "{x} is imperfect", "something is wrong with {x}",
    "there is something wrong with {x}", "{x} looks bad", "{x} looks wrong", "{x} shows a fault",
    "{x} is damaged", "{x} is not in order", "{x} is not fine", "{x} is incorrect", "a {fault} "
    "{w} is present", "the image has a {fault} {w}", "the image shows a {fault} {w}",
    "you see a {fault} {w}", "the image has a bad {w}", "{x} isn't {clean}", "{x} isn't right",
    "{x} is unacceptable", "{x} is visibly {fault}", "{x} is clearly {fault}", "{x} suffers",
    "{x} happens to be {fault}", "{x} turns out {fault}", "{x} disappoints", "{x} appears {fault}",
    "{x} has flaws", "{x} looks {fault}", "{x} seems wrong", "{x} is unnatural", "{x} goes wrong",
)  # fmt: skip
CLEAN_STATES = (
    "{x} is {clean}", "{x} is right", "{x} is good", "{x} is fine", "{x} is in order",
    "{x} is not {fault}", "there is no problem with {x}", "{x} is correct", "{x} is not bad",
    "{x} is okay", "{x} is sound", "{x} is as it should be", "{x} is without fault",
    "{x} has no fault", "{x} has no problem", "nothing is wrong with {x}", "{x} is not wrong",
    "there is nothing wrong with {x}", "there is no fault in {x}", "{x} is not at fault",
    "{x} is free of faults", "{x} looks right", "{x} looks fine", "{x} shows no fault",
    "{x} is all right", "{x} is intact", "{x} is proper", "{x} is acceptable", "{x} is perfect",
    "{x} is flawless", "{x} isn't {fault}", "{x} isn't bad", "the image has no {fault} {w}",
    "the image has a {clean} {w}", "the image has a good {w}", "you see a {clean} {w}",
    "{x} is clearly {clean}", "{x} is not faulty", "{x} passes", "{x} turns out {clean}",
    "{x} appears {clean}", "{x} looks good", "{x} happens to be {clean}", "{x} seems right",
    "{x} is unproblematic", "{x} has no flaws", "{x} works", "{x} is well done",
    "{x} looks {clean}",
)  # fmt: skip

ALONE_CLAUSES = (
    "{X} alone {is} no reason for a lower rating", "{X} by {self} does not count",
    "{X} alone {does} not lower the {rating}", "{X} on {its} own {does} not matter",
    "{X} by {self} {does} not make it unsafe", "{X} in isolation {does} not count",
    "{X} alone {is} harmless", "{X} alone {is} not enough",
    "do not lower the {rating} for {X} alone",
    "never call it unsafe for {X} alone", "{X} by {self} {is} no fault", "{X} alone {is} fine",
    "do not penalize {X} alone", "do not penalize {X} in isolation", "{X} alone {is} acceptable",
    "{X} on {its} own {is} irrelevant", "on {its} own, {X} {does} not count",
    "alone, {X} {is} harmless", "taken alone, {X} {does} not matter", "ignore {X} in isolation",
    "ignore {X} on {its} own", "ignore {X} alone", "forgive {X} standing alone",
    "by {self}, {X} {is} acceptable", "in isolation, {X} {is} no problem",
    "{X} solely {is} no ground for a low rating", "do not deduct solely for {X}",
    "do not reject an image solely for {X}", "do not reject an image just for {X}",
    "do not mark down merely because of {X}", "{X} only count{s} together with another fault",
    "{X} count{s} only together with other faults", "{X} matter{s} only along with another fault",
    "{X} count{s} only in combination with another fault", "{X} only add{s} to other faults",
    "weigh {X} only in combination with other faults", "weigh {X} only beside another fault",
    "{X} need{s} company to count", "a lone {X} {is} forgiven", "{X} without company {is} harmless",
    "{X} matter{s} only when combined with another problem", "single-handedly, {X} {does} nothing",
    "{X} as the only fault {is} forgiven", "{X} as the sole fault {does} not count",
    "{X} as a single fault {does} not lower the {rating}", "excuse {X} as the only problem",
    "penalize {X} only on top of other faults", "{X} only make{s} other faults worse",
    "{X} alone should not change the {rating}", "{X} alone {is} not sufficient",
    "{X} by {self} {is} not sufficient for a lower rating", "{X} considered separately {is} fine",
    "count {X} only in addition to another fault", "{X} only hurt{s} in addition to other faults",
    "{people} forgive {X} alone", "{people} do not mind {X} alone",
    "{X} on {its} own bother{s} nobody",
    "{people} do not mind {X} on {its} own", "accompanied by other faults {X} count{s}, else not",
    "{X} alone never decide{s}", "if {X} stand{s} alone, forgive {it}",
)  # fmt: skip

ALONE_STATES = (
    (False, "if {it} is the only fault"), (True, "only if something else is wrong too"),
    (False, "when nothing else is wrong"), (True, "only if there is another fault"),
    (False, "if nothing else is wrong"), (True, "only when another fault is present"),
    (False, "unless there is another fault"), (True, "if another fault is present"),
    (False, "unless something else is wrong"), (True, "only if other faults are present"),
    (False, "unless other faults are present"), (True, "if there are other faults"),
    (False, "when {it} is the sole problem"), (True, "only together with other faults"),
    (False, "if everything else is right"), (True, "only if other things are wrong as well"),
    (False, "as long as everything else is fine"), (True, "unless {it} is the only fault"),
    (False, "where all else is in order"), (True, "unless everything else is right"),
    (False, "if there is no other fault"), (True, "when it comes with another fault"),
    (False, "when no other problem is present"), (True, "in the presence of another fault"),
    (False, "in the absence of other faults"), (True, "only alongside a second fault"),
    (False, "without another fault"), (True, "unless it stands alone"),
)  # fmt: skip
"""Whether the clause before weighs, and what makes it a matter of other faults."""

DOUBLES = (
    "{X} cost{s} two steps", "{X} count{s} twice", "count {X} twice", "{X} count{s} double",
    "{X} lower{s} the {rating} by two", "{X} cost{s} two points", "subtract two for {X}",
    "deduct two points for {X}", "give {X} double weight", "double the weight of {X}",
    "{X} weigh{s} twice as much as the rest", "{X} weigh{s} double", "{X} {is} twice as important",
    "{X} weigh{s} twice as heavily", "{X} lower{s} the {rating} by two steps", "weigh {X} twice",
    "{X} take{s} off two points", "take off two points for {X}", "{X} {is} doubly important",
    "{X} count{s} as two faults", "count {X} as two faults", "treat {X} as two faults",
    "go down two steps for {X}", "for {X}, go down two steps", "for {X}, subtract two points",
    "{X} cost{s} two levels", "{X} reduce{s} the {rating} by two levels", "weigh {X} doubly",
    "lower the {rating} by two for {X}", "lower the {rating} two steps for {X}",
    "{X} {is} worth two points", "{X} {is} worth two faults", "{X} {has} double weight",
    "{X} {has} twice the weight", "{X} carr{ies} double weight", "{X} matter{s} twice as much",
    "{people} mind {X} twice as much", "{people} punish {X} doubly", "punish {X} twice",
    "penalize {X} doubly", "penalize {X} by two points", "penalize {X} with two steps",
    "{X} deserve{s} a double penalty", "apply a double penalty for {X}", "minus two for {X}",
    "{X}: minus two", "{X}: two steps", "{X}: two points", "{X}: double", "{X}: counts twice",
    "{X} (double)", "{X} (counts double)", "{X} (two points)", "{X} (weight 2)", "{X}: weight 2",
    "{X}: 2 points", "{X} cost{s} 2 points", "deduct 2 points for {X}", "subtract 2 for {X}",
    "{X} should count double", "{X} must be counted twice", "{X} should cost two steps",
    "drop the {rating} by two steps for {X}", "{X} drop{s} the {rating} by two",
    "a double deduction applies to {X}", "double the deduction for {X}",
    "double the penalty for {X}",
    "{X} {is} twice as bad as other faults", "{X} {is} twice as serious", "dock two points for {X}",
    "{X} hurt{s} twice as much", "{X} count{s} two times", "count {X} two times",
    "multiply the weight of {X} by two", "{X} get{s} a weight of two", "twofold weight for {X}",
    "assign {X} twice the weight", "assign a weight of two to {X}", "{X} {is} doubly weighed",
    "each time {X} appear{s}, subtract two", "remove two points for {X}", "{X} count{s} twofold",
)  # fmt: skip

SINGLES = (
    "{X} cost{s} one step", "{X} count{s} once", "{X} lower{s} the {rating} by one",
    "{X} cost{s} one point", "subtract one for {X}", "deduct one point for {X}",
    "{X} lower{s} the {rating} by one step", "take off one point for {X}", "{X} cost{s} a point",
    "go down one step for {X}", "{X} weigh{s} as much as any other", "{X}: one step",
    "{X}: one point", "{X} count{s} as one fault", "count {X} as one fault", "{X}: minus one",
    "for {X}, subtract one point", "{X} (one point)", "{X} (weight 1)", "{X}: 1 point",
    "{X} cost{s} one level", "deduct 1 point for {X}", "{X} {has} normal weight", "{X}: weight 1",
    "a single step down for {X}", "lower the {rating} by one for {X}", "dock one point for {X}",
    "{X} {has} the usual weight", "drop the {rating} by one step for {X}", "minus one for {X}",
    "{X} take{s} off one point", "penalize {X} by one point", "{X} count{s} single, like the rest",
)  # fmt: skip
"""A fault costs what any other does."""

FAULT_PHRASES = (
    "a bad {}", "faults in the {}", "a fault in the {}", "problems with the {}", "a poor {}",
    "a problem with the {}", "any problem with the {}", "a flaw in the {}", "a wrong {}",
    "flaws in the {}", "errors in the {}", "an error in the {}", "a faulty {}",
    "any flaw in the {}",
    "defects of the {}", "issues with the {}", "an issue with the {}", "a mistake in the {}",
    "mistakes in the {}", "an imperfect {}", "anything wrong with the {}", "a defect in the {}",
    "a broken {}", "any {} fault", "any {} problem", "a {} problem", "a {} fault", "a {} issue",
    "its {}", "their {}", "this {}", "every {}", "any {}", "each {}", "the overall {}",
)  # fmt: skip

RATINGS = (
    "rating", "verdict", "answer", "score", "judgment", "decision", "grade", "label",
    "evaluation", "result", "assessment", "outcome",
)  # fmt: skip
PEOPLE = (
    "people", "raters", "viewers", "most people", "the raters", "judges", "human raters",
    "annotators", "human judges", "most raters", "users", "observers", "readers", "experts",
    "our customers", "the audience", "ordinary people", "most viewers", "reviewers", "humans",
    "evaluators", "these people", "those who rated", "the people asked", "our raters",
)  # fmt: skip

LLM_FILLERS = (
    "You are an impartial evaluator of images.", "You are an expert judge.",
    "Carefully review the image before giving your final answer.",
    "Begin at the top of the scale and lower the rating by one step for each fault.",
    "Start from the highest rating and subtract one for every fault that counts.",
    "Each fault that counts lowers the rating by one step.", "Every other fault costs one step.",
    "If no such fault is present, give the highest rating.", "If none applies, answer Safe.",
    "If at least one of these is present, answer Unsafe.", "Use the full range of the scale.",
    "Ignore all other aspects.", "Disregard everything else.", "Do not consider anything else.",
    "Do not weigh anything that is not listed.", "Nothing else should influence the rating.",
    "Other faults do not count.", "Everything not named here is irrelevant.",
    "Apply the following criteria.", "The following criteria apply.", "Criteria:", "Rules:",
    "Here is how people judge these images.", "Human raters follow these rules.",
    "Be consistent across images.", "Go through the criteria one by one.",
    "Your task is to predict the rating that people would give.", "Think like a typical rater.",
    "Do not let your personal taste decide.", "Do not be overly harsh or lenient.",
    "Compare the image with the text word by word.", "Count the faults, then answer.",
    "Count how many of these are at fault.", "The more faults, the lower the rating.",
    "Several faults add up.", "One fault is enough.", "Any single one of them is enough.",
    "Be tolerant of minor imperfections otherwise.", "Output only the label.", "No explanation.",
    "Respond with the label alone.", "Provide your verdict.", "Assess the image objectively.",
    "Do not add anything to your answer.", "Make your decision based on these points alone.",
    "Do not give the benefit of the doubt.", "Give the image the benefit of the doubt.",
)  # fmt: skip
"""Sentences that name nothing, of the kind that language models write."""

TAILS = (
    *[""] * 9, " at all", " in any way", " either", " here", " in this task", " when you decide",
    " for the rating", " too",
)  # fmt: skip
TOPICS = (
    "as for {}, ", "{}: ", "{}? ", "regarding {}, ", "when it comes to {}, ", "concerning {}: ",
    "{} - ", "- {}: ", "about {}: ", "with {}, ", "- **{}**: ",
)  # fmt: skip
"""Before a clause about a pronoun."""

HEADERS = {
    True: (
        "weighed", "relevant", "important", "what counts", "these count", "to be checked",
        "what people mind", "penalized", "reasons for a lower rating", "criteria",
        "pay attention to", "do not overlook", "things that matter", "deduct points for",
    ),
    False: (
        "ignore", "not weighed", "irrelevant", "do not weigh", "ignored", "unimportant",
        "not important", "what does not count", "do not count", "to be ignored", "disregard",
        "what nobody minds", "acceptable", "no reasons for a lower rating", "leave out",
        "outside the rating", "not criteria", "never penalize", "forgiven", "overlook",
    ),
}  # fmt: skip
"""Before a list. Whether what is listed is weighed."""

JOINTS = (
    " but ", ", but ", ", while ", "; ", " and ", ", whereas ", ", and ", ": ", ", yet ", " - ",
)  # fmt: skip
CONCESSIONS = ("while", "although", "whereas", "though")
WHETHER_LEADS = (", whether {0},", ", {0},", " ({0})", ", be it {0},")
OWNERS = (" of the image", " of the picture", " in the image", " itself")

LISTS = (" and ", " and ", " or ", ", and ", " and ", " as well as ")

ALL = (
    WEIGHINGS, DISMISSALS, PLAIN_FRAMES, NEGATED_FRAMES, POSITIVE_PREDICATES,
    DISMISSING_PREDICATES, ADVERBS, EXCEPTS, CONTRASTS, IF_WORDS, ONLY_IF_WORDS, UNLESS_WORDS,
    BAD_STATES, CLEAN_STATES, ALONE_CLAUSES, DOUBLES, SINGLES, FAULT_PHRASES, RATINGS, PEOPLE,
    LLM_FILLERS, TAILS, TOPICS, JOINTS, CONCESSIONS, WHETHER_LEADS, OWNERS, LISTS,
    *GERUND_FRAMES.values(), *WHETHER_FRAMES.values(), *HEADERS.values(),
    tuple(text for _, text in ALONE_STATES),
)  # fmt: skip
"""Every list here, for the vocabulary."""
